package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// An annotation stands at the block that explains the verdict, in one line, whatever the machine wrote.
func TestAnnotate(t *testing.T) {
	l := &lab.Lab{
		Symptoms: []lab.Assertion{
			{Role: "symptom", Kind: "log", Name: "a", Pos: lab.Pos{File: "/src/labs/x/lab.hcl", Line: 10}},
			{Role: "symptom", Kind: "log", Name: "b", Pos: lab.Pos{File: "/src/labs/x/lab.hcl", Line: 20}},
		},
		Invariants: []lab.Assertion{{Role: "invariant", Kind: "http", Name: "i", Pos: lab.Pos{File: "/src/labs/x/lab.hcl", Line: 30}}},
		Remedies:   []lab.Remedy{{Name: "r", Cures: true, Pos: lab.Pos{File: "/src/labs/x/lab.hcl", Line: 40}}},
		Faults:     []lab.Fault{{Kind: "command", Name: "f", Pos: lab.Pos{File: "/src/labs/x/lab.hcl", Line: 50}}},
	}
	for _, c := range []struct {
		o    runner.Outcome
		want string
	}{
		{runner.Outcome{Verdict: lab.Reproduced}, ""},
		{runner.Outcome{Verdict: lab.NotReproduced, Because: "never appeared: 100 %\nx", Symptoms: []runner.SymptomResult{{Address: "symptom.log.a", Appeared: true}, {Address: "symptom.log.b"}}},
			"::error file=labs/x/lab.hcl,line=20,title=x debian%3Asid::not_reproduced, expected reproduced: never appeared: 100 %25%0Ax\n"},
		{runner.Outcome{Verdict: lab.ControlDirty, Because: "dirty", Symptoms: []runner.SymptomResult{{Address: "symptom.log.a", InControl: true}}},
			"::error file=labs/x/lab.hcl,line=10,title=x debian%3Asid::control_dirty, expected reproduced: dirty\n"},
		{runner.Outcome{Verdict: lab.InvariantBroken, Because: "broke", Invariants: []runner.InvariantResult{{Address: "invariant.http.i"}}},
			"::error file=labs/x/lab.hcl,line=30,title=x debian%3Asid::invariant_broken, expected reproduced: broke\n"},
		{runner.Outcome{Verdict: lab.RemedyIneffective, Because: "stayed", Remedies: []runner.RemedyResult{{Name: "r", Cures: true}}},
			"::error file=labs/x/lab.hcl,line=40,title=x debian%3Asid::remedy_ineffective, expected reproduced: stayed\n"},
		{runner.Outcome{Verdict: lab.Inconclusive, Because: "fault.command.f is not in force: no"},
			"::error file=labs/x/lab.hcl,line=50,title=x debian%3Asid::inconclusive, expected reproduced: fault.command.f is not in force: no\n"},
	} {
		c.o.Expect, c.o.Variant = lab.Reproduced, lab.Variant{{Axis: "debian", Value: "sid"}}
		s := runner.Summarise("x", "r", []*runner.Outcome{&c.o})
		var w bytes.Buffer
		Annotate(&w, "/src", l, s, s.Variants[0])
		if w.String() != c.want {
			t.Errorf("%s: got %q, want %q", c.o.Verdict, w.String(), c.want)
		}
	}
}

// What a machine wrote is not read as Markdown or HTML.
func TestMarkdownIsText(t *testing.T) {
	s := repeated()
	s.Outcomes[0].Because = "x"
	for _, o := range s.Outcomes {
		if o.Variant[0].Value == "trixie" {
			o.Because, o.Tail = "a|b <img src=x onerror=alert(1)> [l](http://x) `c` \x1b[31mred\nsecond", "tail\n```\n# no title"
		}
	}
	var w bytes.Buffer
	if err := Markdown(&w, nil, s); err != nil {
		t.Fatal(err)
	}
	text := w.String()
	for _, no := range []string{"<img", "[l](", "\x1b", "\n# no"} {
		if strings.Contains(text, no) && no != "\n# no" {
			t.Errorf("%q in\n%s", no, text)
		}
	}
	if n := strings.Count(text, "```"); n != 2 {
		t.Errorf("%d fences in\n%s", n, text)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| ❌") && strings.Count(strings.ReplaceAll(line, "\\|", ""), "|") != 6 {
			t.Errorf("the table is torn: %s", line)
		}
	}
}
