package report

import (
	"fmt"
	"io"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// Judged is a stored trial that was judged again.
type Judged struct {
	Run  lab.RunID
	By   string // which lab judged, with what
	Name string // of the trial
	Then *runner.Outcome
	Now  *runner.Outcome
	Note string // what the verdict does not know; may be empty
}

// Judgement prints the verdicts of stored trials then and now, and why; of several runs also a table, and how often each
// variant got the expected verdict. summaries count the new verdicts, one for each lab.
func Judgement(w io.Writer, st Style, all []Judged, summaries []*runner.Summary) {
	p := printer{w: w, st: st}
	var runs []lab.RunID
	longest := 0
	for _, j := range all {
		longest = max(longest, width(clean(j.Name)))
	}
	longest = min(longest, p.wide()-32)
	for _, j := range all {
		if len(runs) == 0 || runs[len(runs)-1] != j.Run {
			if len(runs) > 0 {
				p.line("")
			}
			runs = append(runs, j.Run)
			p.line(clean(fmt.Sprintf("run %s, judged by %s", j.Run, j.By)))
		}
		p.judged(j, longest)
	}
	if len(runs) < 2 {
		return
	}
	p.line("")
	t := table{st: st, head: []string{"run", "trial", "then", "now"}}
	for _, j := range all {
		t.row(cell{text: string(j.Run), keep: true}, cell{text: j.Name}, cell{text: string(j.Then.Verdict)},
			cell{text: string(j.Now.Verdict), colour: verdictColour(j.Now.Verdict, j.Now.Expect)})
	}
	t.print(w)
	for _, s := range summaries {
		for _, v := range s.Variants {
			p.line("")
			p.wrapped(0, clean(s.Lab)+" "+variantName(v.Variant)+", expected "+string(v.Expect))
			p.wrapped(4, odds(v)+toSymptoms(v))
		}
	}
}

func (p printer) judged(j Judged, longest int) {
	g := p.st.glyphs()
	sign, c := g.bad, verdictColour(j.Now.Verdict, j.Now.Expect)
	switch c {
	case green:
		sign = g.good
	case yellow:
		sign = g.blind
	}
	got := p.st.paint(c, gotExpected(j.Now.Verdict, j.Now.Expect))
	if j.Then.Verdict == j.Now.Verdict {
		got += "; then the same"
	} else {
		got += "; then " + string(j.Then.Verdict)
	}
	name := p.st.cut(clean(j.Name), longest)
	if line := p.st.paint(c, sign) + " " + pad(name, longest) + "  " + got; width(line) <= p.wide() {
		p.line(line)
	} else {
		p.line(p.st.paint(c, sign) + " " + name)
		p.line("    " + got)
	}
	p.wrapped(4, j.Now.Because)
	if j.Note != "" {
		p.wrapped(4, "note: "+j.Note)
	}
}
