package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// Overview prints what the runs of several labs came to, in one table: of each variant the verdict that it must get and the one
// that it got, how long its trials took together, and the figures beside those of the incident's report. Of one lab there is
// nothing to print: its summary has all that.
func Overview(w io.Writer, st Style, runs []*runner.Summary) {
	if len(labsOf(runs)) < 2 {
		return
	}
	p := printer{w: w, st: st}
	labs := overviewLabs(st, runs)
	c := columnsOf(labs, p.wide())
	took := Duration(together(runs))
	p.line("")
	p.fit(p.st.paint(bold, pad(p.st.cut(overviewHead(runs), p.wide()-width(took)-2), c.all()-width(took))) + took)
	if anyFigures(labs) {
		p.wrapped(0, "Below a variant: what was measured (what the report of the incident said).")
	}
	p.line("")
	p.fit(p.st.paint(bold, c.line("  ", "variant", "expected", "verdict", c.trialsHead(), "time")))
	for _, l := range labs {
		name := p.st.cut(l.name, max(8, c.all()-width(l.took)-2))
		axes := ""
		if !c.full && l.axes != "" {
			axes = p.st.cut("  "+l.axes, c.all()-width(name)-width(l.took)-2)
		}
		p.fit(p.st.paint(bold, name) + p.dim(pad(axes, c.all()-width(name)-width(l.took))) + l.took)
		for _, r := range l.rows {
			p.overviewRow(r, c)
		}
	}
}

type overviewLab struct {
	name, axes, took string
	rows             []overviewRow
}

type overviewRow struct {
	exit          int
	full, short   string // the variant, with its axes and without
	expect, got   string
	trials, took  string
	figures, says []string
}

// overviewLabs is what the table holds.
func overviewLabs(st Style, runs []*runner.Summary) []overviewLab {
	var out []overviewLab
	for _, s := range runs {
		l := overviewLab{name: labName(s), took: Duration(s.Took)}
		if severalDrivers(runs, s.Lab) {
			l.name += " on " + clean(s.Driver)
		}
		for _, v := range s.Variants {
			of := ofVariant(s.Outcomes, v.Variant)
			r := overviewRow{exit: v.Exit(), full: variantName(v.Variant), short: variantName(v.Variant), expect: clean(string(v.Expect)), got: clean(string(mostly(of)))}
			var axes, values []string
			for _, c := range v.Variant {
				axes, values = append(axes, clean(c.Axis)), append(values, clean(c.Value))
			}
			if l.axes = strings.Join(axes, ", "); len(values) > 0 {
				r.short = strings.Join(values, " ")
			}
			var took time.Duration
			for _, o := range of {
				took += o.Took
			}
			r.took, r.figures = Duration(took), st.measured(v.Figures)
			if len(of) > 1 {
				r.trials = fmt.Sprintf("%d of %d", v.AsExpected.K, v.AsExpected.N)
				if v.Inconclusive > 0 {
					r.says = append(r.says, fmt.Sprintf("%d inconclusive", v.Inconclusive))
				}
			}
			if v.Rate != "" && v.Because != "" {
				r.says = append(r.says, v.Because)
			} else if v.Exit() != runner.ExitExpected {
				r.says = append(r.says, becauseOf(v, of))
			}
			l.rows = append(l.rows, r)
		}
		for _, left := range s.Leaks {
			l.rows = append(l.rows, overviewRow{exit: runner.ExitUnexpected, full: "left on this host", short: "left on this host", says: []string{left}})
		}
		for _, lost := range s.Lost {
			l.rows = append(l.rows, overviewRow{exit: runner.ExitInconclusive, full: "evidence not kept", short: "evidence not kept", says: []string{lost}})
		}
		out = append(out, l)
	}
	return out
}

// becauseOf explains a variant that did not get what it must.
func becauseOf(v runner.VariantResult, of []*runner.Outcome) string {
	if o := firstUnexpected(of); o != nil {
		return o.Because
	}
	return v.Because
}

// mostly is the verdict that most trials got.
func mostly(of []*runner.Outcome) lab.Verdict {
	count := map[lab.Verdict]int{}
	for _, o := range of {
		count[o.Verdict]++
	}
	var most lab.Verdict
	for _, v := range lab.Verdicts() {
		if count[v] > count[most] {
			most = v
		}
	}
	return most
}

// overviewHead is all runs in a few words.
func overviewHead(runs []*runner.Summary) string {
	all := &runner.Summary{}
	for _, s := range runs {
		all.Variants = append(all.Variants, s.Variants...)
		all.Leaks, all.Lost = append(all.Leaks, s.Leaks...), append(all.Lost, s.Lost...)
		if s.Exit == runner.ExitInterrupted {
			all.Exit = s.Exit
		}
	}
	return counted(len(labsOf(runs)), "lab") + ": " + conclusion(all)
}

func labsOf(runs []*runner.Summary) map[string]bool {
	names := map[string]bool{}
	for _, s := range runs {
		names[s.Lab] = true
	}
	return names
}

func together(runs []*runner.Summary) time.Duration {
	var took time.Duration
	for _, s := range runs {
		took += s.Took
	}
	return took
}

func anyFigures(labs []overviewLab) bool {
	for _, l := range labs {
		for _, r := range l.rows {
			if len(r.figures) > 0 {
				return true
			}
		}
	}
	return false
}

// overviewColumns are the widths of the table's columns.
type overviewColumns struct {
	name, expect, got, trials, took int
	full                            bool // variants are written as the command line takes them
}

// columnsOf chooses the form of the table for a terminal.
func columnsOf(labs []overviewLab, wide int) overviewColumns {
	c := overviewColumns{expect: len("expected"), got: len("verdict"), took: len("time"), full: true}
	full, short := len("variant"), len("variant")
	for _, l := range labs {
		c.took = max(c.took, width(l.took))
		for _, r := range l.rows {
			full, short = max(full, width(r.full)), max(short, width(r.short))
			c.expect, c.got = max(c.expect, width(r.expect)), max(c.got, width(r.got))
			if r.trials != "" {
				c.trials = max(c.trials, len("trials"), width(r.trials))
			}
			c.took = max(c.took, width(r.took))
		}
	}
	if c.name = full; c.all() > wide {
		c.full, c.name = false, short
	}
	if over := c.all() - wide; over > 0 {
		c.name = max(12, c.name-over)
	}
	return c
}

const overviewGap = 2

// all is the width of the table.
func (c overviewColumns) all() int {
	n := 2 + c.name + overviewGap + c.expect + overviewGap + c.got + overviewGap + c.took
	if c.trials > 0 {
		n += c.trials + overviewGap
	}
	return n
}

func (c overviewColumns) trialsHead() string {
	if c.trials == 0 {
		return ""
	}
	return "trials"
}

// line is one row; sign takes two columns, and the verdict may be painted.
func (c overviewColumns) line(sign, name, expect, got, trials, took string) string {
	gap := strings.Repeat(" ", overviewGap)
	s := sign + pad(name, c.name) + gap + pad(expect, c.expect) + gap + pad(got, c.got) + gap
	if c.trials > 0 {
		s += padLeft(trials, c.trials) + gap
	}
	return s + padLeft(took, c.took)
}

func (p printer) overviewRow(r overviewRow, c overviewColumns) {
	name := r.short
	if c.full {
		name = r.full
	}
	g := p.st.glyphs()
	sign, colour := g.good, green
	switch r.exit {
	case runner.ExitUnexpected:
		sign, colour = g.bad, red
	case runner.ExitInconclusive:
		sign, colour = g.blind, yellow
	}
	sign = p.st.paint(colour, sign) + " "
	if width(name) > c.name { // it is there to be typed: on a line of its own, it need not be cut
		p.fit(sign + name)
		sign, name = "  ", ""
	}
	p.fit(c.line(sign, name, r.expect, p.st.paint(colour, r.got), r.trials, r.took))
	if len(r.figures) > 0 {
		for _, line := range figureLines(r.figures, p.wide()-4) {
			p.line("    " + p.dim(line))
		}
	}
	for _, says := range r.says {
		p.wrapped(4, says)
	}
}
