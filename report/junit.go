package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// JUnit writes runs as JUnit XML: one suite for each lab, one case for each variant, or for each trial where a
// variant was repeated. A verdict other than the expected one is a failure, inconclusive is an error. The text is in the
// message and in the body of each, because readers differ in which they show.
func JUnit(w io.Writer, runs ...*runner.Summary) error {
	all := suites{}
	all.Name = "saigen"
	var took time.Duration
	for i, s := range runs {
		one := suiteOf(s, severalDrivers(runs, s.Lab))
		one.ID = i
		took += s.Took
		all.Tests, all.Failures, all.Errors = all.Tests+one.Tests, all.Failures+one.Failures, all.Errors+one.Errors
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

func suiteOf(s *runner.Summary, several bool) suite {
	var one suite
	one.Name, one.Time = clean(s.Lab), seconds(s.Took)
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
			if one.Timestamp == "" {
				one.SetTimestamp(o.Started)
			}
			one.add(testcaseOf(o, one.Name, len(of) > 1))
		}
	}
	if len(s.Leaks) > 0 {
		text := xmlText("left on the host, saigen gc removes it:\n" + strings.Join(s.Leaks, "\n"))
		one.add(testcase{Testcase: junit.Testcase{
			Name: "nothing is left on the host", Classname: one.Name, Time: seconds(0),
			Error: &junit.Result{Message: text, Type: "leak", Data: text},
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

func testcaseOf(o *runner.Outcome, class string, repeated bool) testcase {
	c := testcase{Testcase: junit.Testcase{
		Name:      variantName(o.Variant),
		Classname: class,
		Time:      seconds(o.Took),
		SystemOut: &junit.Output{Data: xmlText(keyFacts(o))},
	}}
	if repeated {
		c.Name += fmt.Sprintf(" trial %d", o.Trial)
	}
	for _, choice := range o.Variant {
		c.Properties = append(c.Properties, junit.Property{Name: xmlText(choice.Axis), Value: xmlText(choice.Value)})
	}
	c.Properties = append(c.Properties,
		junit.Property{Name: "verdict", Value: string(o.Verdict)}, junit.Property{Name: "expected", Value: string(o.Expect)})
	if o.AsExpected() {
		return c
	}
	text := gotExpected(o.Verdict, o.Expect) + ": " + o.Because
	body := []string{text}
	if o.Hint != "" {
		body = append(body, "hint: "+o.Hint)
	}
	if o.Tail != "" {
		body = append(body, o.Tail)
	}
	res := &junit.Result{Message: xmlText(text), Type: string(o.Verdict), Data: xmlText(strings.Join(body, "\n"))}
	if o.Verdict == lab.Inconclusive {
		c.Error = res
	} else {
		c.Failure = res
	}
	return c
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
