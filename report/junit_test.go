package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/saigen-lab/saigen/runner"
)

// parse reads what JUnit wrote, as strictly as encoding/xml does, with the library's own types.
func parse(t *testing.T, s *runner.Summary) (junit.Testsuites, string) {
	t.Helper()
	var w bytes.Buffer
	if err := JUnit(&w, nil, nil, s); err != nil {
		t.Fatal(err)
	}
	text := w.String()
	var all junit.Testsuites
	if err := xml.Unmarshal(w.Bytes(), &all); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if len(all.Suites) != 1 || all.Suites[0].Tests != len(all.Suites[0].Testcases) || all.Tests != all.Suites[0].Tests {
		t.Fatalf("the counts are wrong:\n%s", text)
	}
	return all, text
}

func TestJUnitCountsAndNames(t *testing.T) {
	all, _ := parse(t, repeated())
	one := all.Suites[0]
	if one.Name != "stale-dns" || one.Tests != 3 || one.Failures != 1 || one.Errors != 1 || all.Failures != 1 || all.Errors != 1 {
		t.Errorf("%s: %d tests, %d failures, %d errors", one.Name, one.Tests, one.Failures, one.Errors)
	}
	names := map[string]bool{}
	for i, c := range one.Testcases {
		if names[c.Name] {
			t.Errorf("%q twice", c.Name)
		}
		names[c.Name] = true
		if failed, errored := c.Failure != nil, c.Error != nil; failed != (i == 1) || errored != (i == 0) {
			t.Errorf("case %d %q: failure %v, error %v", i, c.Name, failed, errored)
		}
	}
	if f := one.Testcases[1].Failure; !strings.Contains(f.Message, "never appeared: "+dnsDead) || !strings.Contains(f.Data, "hint: compare the packages") {
		t.Errorf("the failure does not explain: %+v", f)
	}
	if e := one.Testcases[0].Error; !strings.Contains(e.Message, "9 of 9 as expected") || !strings.Contains(e.Message, "the agent did not answer") {
		t.Errorf("the error does not explain: %+v", e)
	}
	if out := one.Testcases[0].SystemOut; !strings.Contains(out.Data, "trial 10: inconclusive") {
		t.Errorf("not every trial is told of:\n%s", out.Data)
	}
}

// What happened in a trial is told where CI pages show it, and not more of it than a page takes.
func TestJUnitEvents(t *testing.T) {
	events, s := staleDNS()
	var w bytes.Buffer
	if err := JUnit(&w, func(*runner.Outcome) []runner.Event { return events }, nil, s); err != nil {
		t.Fatal(err)
	}
	if text := w.String(); !strings.Contains(text, "events:\n") || !strings.Contains(text, "fault arm, inject: started") {
		t.Errorf("no events in\n%s", text)
	}
	var many []runner.Event
	for range 3 * mostEvents {
		many = append(many, runner.Event{Type: runner.Step, At: time.Unix(0, 0), Text: "again"})
	}
	if text := happened(many); strings.Count(text, "again") > mostEvents || !strings.Contains(text, "earlier lines left out") {
		t.Errorf("%d lines", strings.Count(text, "\n"))
	}
}

// element is what JUnit XML may have at one place. The rules are those of Ant's schema, of which every reader understands
// a part, and the two things that Jenkins, GitHub's and GitLab's readers know besides: properties and output of a case.
type element struct {
	attrs    map[string]*regexp.Regexp // those that there must be, and their form
	optional []string
	children []string // in this order; one that ends with * may come more than once
	text     bool
}

var (
	anything = regexp.MustCompile(`.`)
	number   = regexp.MustCompile(`^\d+$`)
	decimal  = regexp.MustCompile(`^\d+\.\d{3}$`)
	moment   = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`)
)

var junitSchema = map[string]element{
	"testsuites": {attrs: map[string]*regexp.Regexp{"name": anything, "time": decimal, "tests": number}, optional: []string{"failures", "errors"}, children: []string{"testsuite*"}},
	"testsuite": {attrs: map[string]*regexp.Regexp{"name": anything, "time": decimal, "tests": number, "failures": number, "errors": number, "id": number},
		optional: []string{"timestamp"}, children: []string{"properties", "testcase*"}},
	"properties": {children: []string{"property*"}},
	"property":   {attrs: map[string]*regexp.Regexp{"name": anything, "value": regexp.MustCompile(``)}},
	"testcase": {attrs: map[string]*regexp.Regexp{"name": anything, "classname": anything, "time": decimal},
		children: []string{"properties", "skipped", "error", "failure", "system-out", "system-err"}},
	"error":      {attrs: map[string]*regexp.Regexp{"message": anything, "type": anything}, text: true},
	"failure":    {attrs: map[string]*regexp.Regexp{"message": anything, "type": anything}, text: true},
	"system-out": {text: true},
}

// valid says what in a document is not as the schema has it.
func valid(t *testing.T, text string) {
	t.Helper()
	type open struct {
		name string
		at   int // place among the children that may come next
	}
	var stack []open
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			name := x.Name.Local
			rule, known := junitSchema[name]
			if !known || len(stack) == 0 && name != "testsuites" {
				t.Fatalf("<%s> at %d", name, d.InputOffset())
			}
			if len(stack) > 0 {
				top := &stack[len(stack)-1]
				order := junitSchema[top.name].children
				for top.at < len(order) && strings.TrimSuffix(order[top.at], "*") != name {
					top.at++
				}
				if top.at == len(order) {
					t.Fatalf("<%s> must not come here in <%s>", name, top.name)
				}
				if !strings.HasSuffix(order[top.at], "*") {
					top.at++
				}
			}
			seen := map[string]bool{}
			for _, a := range x.Attr {
				form := rule.attrs[a.Name.Local]
				if form == nil && !slices.Contains(rule.optional, a.Name.Local) || form != nil && !form.MatchString(a.Value) || a.Name.Local == "timestamp" && !moment.MatchString(a.Value) {
					t.Errorf("<%s %s=%q>", name, a.Name.Local, a.Value)
				}
				seen[a.Name.Local] = true
			}
			for a := range rule.attrs {
				if !seen[a] {
					t.Errorf("<%s> without %s", name, a)
				}
			}
			stack = append(stack, open{name: name})
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 && !junitSchema[stack[len(stack)-1].name].text && strings.TrimSpace(string(x)) != "" {
				t.Errorf("text in <%s>: %q", stack[len(stack)-1].name, x)
			}
		}
	}
}

func TestJUnitIsValid(t *testing.T) {
	_, good := staleDNS()
	bad := troubled()
	for _, s := range []*runner.Summary{good, repeated(), bad[len(bad)-1].Summary} {
		_, text := parse(t, s)
		valid(t, text)
	}
}

func TestJUnitTakesAnyBytes(t *testing.T) {
	events := troubled()
	s := events[len(events)-1].Summary
	var every strings.Builder
	for b := range 256 {
		every.WriteByte(byte(b))
	}
	every.WriteString("]]>\uffff\U0010ffff\ud7ff<&'\"\x1b[31m")
	bad := every.String()
	s.Outcomes[0].Because, s.Outcomes[0].Folder, s.Outcomes[0].Tail = bad, bad, bad
	s.Outcomes[0].Variant = variant()
	s.Outcomes[0].Variant[0].Value = bad
	s.Variants[0].Variant = s.Outcomes[0].Variant
	s.Lab, s.Run, s.Leaks = bad, "\x00]]>", []string{bad}
	all, text := parse(t, s)
	one := all.Suites[0]
	if one.Errors != 2 || !strings.Contains(one.Testcases[0].Error.Data, "]]>") || one.Testcases[1].Error.Type != "leak" {
		t.Errorf("%+v", one)
	}
	if !strings.Contains(text, `<property name="trigger" value="port_taken">`) {
		t.Errorf("no properties of the case in\n%s", text)
	}
	valid(t, text)
}

// JSON lines can be read back as the events that they were.
func TestJSONReadsBack(t *testing.T) {
	events, _ := staleDNS()
	var w bytes.Buffer
	sink := NewJSON(&w, Style{})
	play(sink, events)
	if err := sink.Err(); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(&w)
	for i, want := range events {
		if want.Type == runner.Observed {
			continue
		}
		var got runner.Event
		if err := dec.Decode(&got); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		if got.Type != want.Type || !got.At.Equal(want.At) || got.Phase != want.Phase || got.Subject != want.Subject || (got.Outcome == nil) != (want.Outcome == nil) {
			t.Errorf("event %d: got %+v, want %+v", i, got, want)
		}
	}
	if dec.More() {
		t.Error("there are more lines than events")
	}
}

// A lab that cannot be run is an error in a suite of its own, with all its mistakes.
func TestJUnitMistakes(t *testing.T) {
	var w bytes.Buffer
	if err := JUnit(&w, nil, []Mistake{{Lab: "labs/x", Text: "labs/x/lab.hcl:1:1: first ]]> " + hostile + "\nlabs/x/lab.hcl:2:1: second"}}); err != nil {
		t.Fatal(err)
	}
	var all struct {
		Errors int `xml:"errors,attr"`
		Suites []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Error struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(w.Bytes(), &all); err != nil {
		t.Fatalf("%v\n%s", err, w.String())
	}
	if all.Errors != 1 || len(all.Suites) != 1 || all.Suites[0].Name != "labs/x" || len(all.Suites[0].Cases) != 1 {
		t.Fatalf("%+v", all)
	}
	e := all.Suites[0].Cases[0].Error
	if !strings.HasPrefix(e.Message, "labs/x/lab.hcl:1:1: first") || strings.Contains(e.Message, "second") || !strings.Contains(e.Text, "second") {
		t.Errorf("%+v", e)
	}
}
