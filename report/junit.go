package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/saigen-lab/saigen/runner"
)

// JUnit writes runs as JUnit XML: one suite for each lab (and driver, where there are several), one case for each variant. A
// variant that did not get its expected verdict is a failure, one that is inconclusive an error. The sentence that
// explains it is in the message and in the body of each, because readers differ in which they show. events, where it
// is not nil, gives what happened in a trial. A lab that cannot be run is an error too.
func JUnit(w io.Writer, events func(*runner.Outcome) []runner.Event, wrong []Mistake, runs ...*runner.Summary) error {
	all := suites{}
	all.Name = "saigen"
	var took time.Duration
	for i, s := range runs {
		one := suiteOf(s, severalDrivers(runs, s.Lab), events)
		one.ID = i
		took += s.Took
		all.Tests, all.Failures, all.Errors = all.Tests+one.Tests, all.Failures+one.Failures, all.Errors+one.Errors
		all.Cases = append(all.Cases, one)
	}
	for _, m := range wrong {
		one := mistakeOf(m)
		one.ID = len(all.Cases)
		all.Tests, all.Errors = all.Tests+one.Tests, all.Errors+one.Errors
		all.Cases = append(all.Cases, one)
	}
	all.Time = seconds(took)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("cannot write the JUnit report: %v", err)
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return fmt.Errorf("cannot write the JUnit report: %v", err)
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return fmt.Errorf("cannot write the JUnit report: %v", err)
	}
	return nil
}

// Mistake is why a lab cannot be run.
type Mistake struct {
	Lab  string // its folder
	Text string // a line for each mistake
}

func mistakeOf(m Mistake) suite {
	var one suite
	one.Name, one.Time = clean(m.Lab), seconds(0)
	text := xmlText(m.Text)
	first, _, _ := strings.Cut(text, "\n")
	one.add(testcase{Testcase: junit.Testcase{
		Name: "the lab can be run", Classname: one.Name, Time: seconds(0),
		Error: &junit.Result{Message: first, Type: "mistake", Data: text},
	}})
	return one
}

// severalDrivers says whether a lab was run on more than one: readers tell test cases apart by their class and name alone.
func severalDrivers(runs []*runner.Summary, lab string) bool {
	drivers := map[string]bool{}
	for _, s := range runs {
		if s.Lab == lab {
			drivers[s.Driver] = true
		}
	}
	return len(drivers) > 1
}

func suiteOf(s *runner.Summary, several bool, events func(*runner.Outcome) []runner.Event) suite {
	var one suite
	one.Name, one.Time = labName(s), seconds(s.Took)
	if several {
		one.Name += " on " + clean(s.Driver)
	}
	one.AddProperty("run", xmlText(string(s.Run)))
	one.AddProperty("lab", xmlText(s.Lab))
	if s.Driver != "" {
		one.AddProperty("driver", xmlText(s.Driver))
	}
	for _, v := range s.Variants {
		of := ofVariant(s.Outcomes, v.Variant)
		for _, o := range of {
			if at := o.Started.UTC().Format("2006-01-02T15:04:05"); one.Timestamp == "" || at < one.Timestamp {
				one.Timestamp = at // without a zone, as Ant writes it
			}
		}
		one.add(testcaseOf(s, v, of, one.Name, events))
	}
	if len(s.Leaks) > 0 {
		text := xmlText("left on the host, saigen gc removes it:\n" + strings.Join(s.Leaks, "\n"))
		one.add(testcase{Testcase: junit.Testcase{
			Name: "nothing is left on the host", Classname: one.Name, Time: seconds(0),
			Error: &junit.Result{Message: text, Type: "leak", Data: text},
		}})
	}
	if len(s.Lost) > 0 {
		text := xmlText(strings.Join(s.Lost, "\n"))
		one.add(testcase{Testcase: junit.Testcase{
			Name: "all of the evidence is kept", Classname: one.Name, Time: seconds(0),
			Error: &junit.Result{Message: text, Type: "lost", Data: text},
		}})
	}
	return one
}

// These give junit's types the one thing that they lack, properties of a test case; encoding/xml prefers the outer of
// two fields with the same name, and the embedded ones keep the counts.
type (
	suites struct {
		junit.Testsuites
		Cases []suite `xml:"testsuite"`
	}
	suite struct {
		junit.Testsuite
		Cases []testcase `xml:"testcase"`
	}
	testcase struct {
		Properties []junit.Property `xml:"properties>property,omitempty"`
		junit.Testcase
	}
)

func (s *suite) add(c testcase) {
	s.AddTestcase(c.Testcase)
	s.Cases = append(s.Cases, c)
}

func testcaseOf(s *runner.Summary, v runner.VariantResult, of []*runner.Outcome, class string, events func(*runner.Outcome) []runner.Event) testcase {
	var took time.Duration
	var out strings.Builder
	for _, o := range of {
		took += o.Took
		if len(of) > 1 {
			fmt.Fprintf(&out, "trial %d: %s\n", o.Trial, gotExpected(o.Verdict, o.Expect))
		}
		out.WriteString(keyFacts(o))
		if events != nil {
			out.WriteString(happened(events(o)))
		}
	}
	c := testcase{Testcase: junit.Testcase{
		Name:      variantName(v.Variant),
		Classname: class,
		Time:      seconds(took),
		SystemOut: &junit.Output{Data: xmlText(out.String())},
	}}
	for _, choice := range v.Variant {
		c.Properties = append(c.Properties, junit.Property{Name: xmlText(choice.Axis), Value: xmlText(choice.Value)})
	}
	o := firstUnexpected(of)
	if o == nil && len(of) > 0 {
		o = of[0]
	}
	if o != nil {
		c.Properties = append(c.Properties, junit.Property{Name: "verdict", Value: string(o.Verdict)})
	}
	c.Properties = append(c.Properties, junit.Property{Name: "expected", Value: string(v.Expect)}, junit.Property{Name: "run", Value: xmlText(string(s.Run))})
	if s.Driver != "" {
		c.Properties = append(c.Properties, junit.Property{Name: "driver", Value: xmlText(s.Driver)})
	}
	if len(of) > 1 {
		c.Properties = append(c.Properties, junit.Property{Name: "trials", Value: odds(v)})
	}
	for _, f := range v.Figures {
		c.Properties = append(c.Properties, junit.Property{Name: "figure " + figureName(f.Figure), Value: xmlText(Style{}.spreadText(f))})
	}
	if v.Exit() == runner.ExitExpected {
		return c
	}
	body := []string{why(s, v)}
	if o != nil && o.Hint != "" {
		body = append(body, "hint: "+o.Hint)
	}
	if o != nil && o.Tail != "" {
		body = append(body, o.Tail)
	}
	res := &junit.Result{Message: xmlText(body[0]), Type: "undecided", Data: xmlText(strings.Join(body, "\n"))}
	if o != nil {
		res.Type = string(o.Verdict)
	}
	if v.Exit() == runner.ExitInconclusive {
		c.Error = res
	} else {
		c.Failure = res
	}
	return c
}

// mostEvents is how many lines of a trial's events a report has; all are in the run's folder.
const mostEvents = 200

// happened is the events as plain lines, without their beginning where they are many.
func happened(events []runner.Event) string {
	if len(events) == 0 {
		return ""
	}
	var text strings.Builder
	plain := NewPlain(&text, Style{})
	for _, e := range events {
		plain.Event(e)
	}
	lines := strings.SplitAfter(text.String(), "\n")
	if n := len(lines) - mostEvents; n > 0 {
		return fmt.Sprintf("events (%d earlier lines left out):\n", n) + strings.Join(lines[n:], "")
	}
	return "events:\n" + text.String()
}

// keyFacts is what a reader of a CI page needs besides the verdict: where the evidence is, the figures, the phases.
func keyFacts(o *runner.Outcome) string {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(clean(fmt.Sprintf(format, args...)) + "\n") }
	line("evidence: %s", o.Folder)
	line("because: %s", o.Because)
	for _, s := range o.Symptoms {
		appeared := "never appeared"
		if s.Appeared {
			appeared = "appeared after " + Duration(s.After)
		}
		line("%s %s; control: %s; fault: %s; after remedy: %s", s.Address, appeared, s.Control, s.Last, s.AfterCure)
	}
	for _, inv := range o.Invariants {
		held := "held"
		if !inv.Held {
			held = "broke in the " + inv.BrokeIn
		}
		line("%s %s: %s", inv.Address, held, inv.Last)
	}
	if figures := (Style{}).measured(spreadsOf(o)); len(figures) > 0 {
		line("measured (reported): %s", strings.Join(figures, "; "))
	}
	for _, a := range o.Arms {
		for _, p := range a.Phases {
			if !p.End.IsZero() {
				line("%s arm, %s: %s", a.Name, p.Name(), Duration(p.End.Sub(p.Start)))
			}
		}
	}
	for _, d := range o.Drift {
		line("package differs from lab.lock.json: %s", d)
	}
	return b.String()
}

// xmlText keeps what XML 1.0 can hold; encoding/xml does not look into CDATA.
func xmlText(s string) string { return cleanText(s) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
