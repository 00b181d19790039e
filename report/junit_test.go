package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/saigen-lab/saigen/runner"
)

// parse reads what JUnit wrote, as strictly as encoding/xml does, with the library's own types.
func parse(t *testing.T, s *runner.Summary) (junit.Testsuites, string) {
	t.Helper()
	var w bytes.Buffer
	if err := JUnit(&w, s); err != nil {
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
	if one.Name != "stale-dns" || one.Tests != 12 || one.Failures != 1 || one.Errors != 1 || all.Failures != 1 || all.Errors != 1 {
		t.Errorf("%s: %d tests, %d failures, %d errors", one.Name, one.Tests, one.Failures, one.Errors)
	}
	names := map[string]bool{}
	for i, c := range one.Testcases {
		if names[c.Name] {
			t.Errorf("%q twice", c.Name)
		}
		names[c.Name] = true
		if failed, errored := c.Failure != nil, c.Error != nil; failed != (i == 10) || errored != (i == 9) {
			t.Errorf("case %d %q: failure %v, error %v", i, c.Name, failed, errored)
		}
	}
	if f := one.Testcases[10].Failure; !strings.Contains(f.Message, "never appeared: "+dnsDead) || !strings.Contains(f.Data, "hint: compare the packages") {
		t.Errorf("the failure does not explain: %+v", f)
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
