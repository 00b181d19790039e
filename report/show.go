package report

import (
	"fmt"
	"io"

	"github.com/saigen-lab/saigen/runner"
)

// Show prints a run from its stored outcomes: the verdicts, and for each trial the figures of its symptoms, its
// invariants, and its phases with their times. s is what runner.Summarise makes of the outcomes.
func Show(w io.Writer, st Style, s *runner.Summary) {
	p := printer{w: w, st: st}
	p.verdicts(s)
	for _, o := range s.Outcomes {
		title := variantName(o.Variant)
		if len(s.Outcomes) > len(s.Variants) {
			title += fmt.Sprintf(", trial %d", o.Trial)
		}
		p.figures(o, title+": "+gotExpected(o.Verdict, o.Expect), 0)
		p.beside(spreadsOf(o))
		p.remedies(o)
		for _, inv := range o.Invariants {
			p.invariant(inv)
		}
		p.phases(o)
	}
	p.leaks(s.Leaks)
	p.footer(s)
}

func (p printer) invariant(inv runner.InvariantResult) {
	g := p.st.glyphs()
	sign, text := p.st.paint(green, g.good), "held: "+inv.Last
	switch {
	case inv.CouldNot != "":
		sign, text = p.st.paint(yellow, g.blind), "could not look: "+inv.CouldNot
	case !inv.Held:
		sign, text = p.st.paint(red, g.bad), "broke in the "+inv.BrokeIn+": "+inv.Last
	}
	p.fit(sign + " " + clean(inv.Address+" "+text))
}

func (p printer) phases(o *runner.Outcome) {
	longest := 0
	for _, a := range o.Arms {
		for _, ph := range a.Phases {
			longest = max(longest, width(clean(ph.Name())))
		}
	}
	longest = min(longest, p.wide()/2)
	for _, a := range o.Arms {
		p.line("")
		for _, ph := range a.Phases {
			took := "not ended"
			if !ph.End.IsZero() {
				took = Duration(ph.End.Sub(ph.Start))
			}
			line := pad(clean(a.Name), len(runner.Control)) + "  " + pad(p.st.cut(clean(ph.Name()), longest), longest) + "  " + padLeft(took, elapsedWidth)
			if ph.Unready != "" {
				line += "  " + p.dim(clean(ph.Unready))
			}
			p.fit(line)
		}
		if a.Failed != "" {
			p.wrapped(2, "failed: "+a.Failed)
		}
	}
}
