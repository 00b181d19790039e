package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// RunLine is one run on disk, for Runs.
type RunLine struct {
	Run     lab.RunID
	Lab     string
	From    string // where the lab was fetched from, with its sum; empty: it was a folder of the host
	Started time.Time
	Took    time.Duration // 0: not known
	Trials  int
	Exit    int    // the exit code that it ended with
	State   string // "running", "up", "down", "killed": printed instead of what Exit means; empty: it ended
}

// Runs prints the table of saigen runs, in the order given.
func Runs(w io.Writer, st Style, runs []RunLine) {
	if len(runs) == 0 {
		put(w, "no runs yet")
		return
	}
	t := table{st: st, head: []string{"run", "result", "lab", "started", "took", "trials"}}
	for _, r := range runs {
		took := ""
		if r.Took > 0 {
			took = Duration(r.Took)
		}
		result, c := exitText(r.Exit)
		if r.State != "" {
			result, c = r.State, yellow
		}
		name := r.Lab
		if r.From != "" {
			name += " (fetched)"
		}
		t.row(cell{text: string(r.Run), keep: true}, cell{text: result, colour: c}, cell{text: name}, cell{text: r.Started.Format("_2 Jan 15:04")},
			cell{text: took, right: true}, cell{text: fmt.Sprint(r.Trials), right: true})
	}
	t.print(w)
}

func exitText(code int) (string, colour) {
	switch code {
	case runner.ExitExpected:
		return "as expected", green
	case runner.ExitUnexpected:
		return "not as expected", red
	case runner.ExitUsage:
		return "wrong lab", red
	case runner.ExitInconclusive:
		return "inconclusive", yellow
	case runner.ExitInterrupted:
		return "interrupted", yellow
	}
	return fmt.Sprintf("exit %d", code), red
}

// LabLine is one lab, for Labs.
type LabLine struct {
	Name     string // as run takes it
	Title    string
	Axes     []LabAxis
	Variants []LabVariant
	Problem  string // why it could not be read; empty: it could
}

// LabAxis is one axis of a lab, its values in their order.
type LabAxis struct {
	Name   string
	Values []string
}

// LabVariant is one variant of a lab and the verdict that it must get.
type LabVariant struct {
	Variant lab.Variant
	Expect  lab.Verdict
	Rate    lab.Rate // how often; empty: every time
}

// Labs prints the library of saigen list: of each lab its title, its axes, and what is expected of how many variants; with Verbose
// each variant.
func Labs(w io.Writer, st Style, labs []LabLine) {
	p := printer{w: w, st: st}
	if len(labs) == 0 {
		p.line("no labs here")
		return
	}
	for i, l := range labs {
		if i > 0 {
			p.line("")
		}
		p.line(st.paint(bold, clean(l.Name))) // to be copied: never cut
		if l.Problem != "" {
			for line := range strings.Lines(l.Problem) {
				p.line("    " + st.paint(red, st.cut(clean(strings.TrimSpace(line)), p.wide()-4)))
			}
			continue
		}
		p.wrapped(4, l.Title)
		p.axes(l.Axes)
		if st.Level >= Verbose {
			p.variants(l.Variants)
		} else {
			p.wrapped(4, expected(l.Variants))
		}
	}
}

// axes is a line for each, with its values.
func (p printer) axes(all []LabAxis) {
	longest := 0
	for _, a := range all {
		longest = max(longest, width(clean(a.Name)))
	}
	for _, a := range all {
		name := clean(a.Name)
		for _, line := range wrap(clean(strings.Join(a.Values, ", ")), p.wide()-4-longest-2) {
			p.fit("    " + p.dim(pad(name, longest)) + "  " + line)
			name = ""
		}
	}
}

// expected is what variants must get, in a few words: "2 reproduced, 4 not_reproduced".
func expected(all []LabVariant) string {
	var order []string
	count := map[string]int{}
	for _, v := range all {
		e := v.expected()
		if count[e]++; count[e] == 1 {
			order = append(order, e)
		}
	}
	for i, e := range order {
		if len(all) > 1 {
			order[i] = fmt.Sprintf("%d %s", count[e], e)
		}
	}
	return "expected: " + strings.Join(order, ", ")
}

func (v LabVariant) expected() string {
	if v.Rate == "" {
		return clean(string(v.Expect))
	}
	return clean(fmt.Sprintf("%s (rate %s)", v.Expect, v.Rate))
}

// variants is a line for each, as the command line takes it, and what it must get.
func (p printer) variants(all []LabVariant) {
	longest := 0
	for _, v := range all {
		longest = max(longest, width(v.expected()))
	}
	for _, v := range all {
		p.line("    " + pad(v.expected(), longest) + "  " + variantName(v.Variant)) // to be copied: never cut
	}
}

// Check is one requirement of the host and what its check said.
type Check struct {
	Requirement lab.Requirement
	Err         error // nil: it is there
}

// Doctor prints a line per requirement, and for each that is missing what is wrong and the command that fixes it.
func Doctor(w io.Writer, st Style, checks []Check) {
	p := printer{w: w, st: st}
	g := st.glyphs()
	names, missing := 0, 0
	for _, c := range checks {
		names = max(names, width(clean(c.Requirement.Name)))
	}
	names = min(names, p.wide()/2)
	for _, c := range checks {
		sign := st.paint(green, g.good)
		if c.Err != nil {
			sign = st.paint(red, g.bad)
			missing++
		}
		needed := ""
		if c.Requirement.Needed != "" {
			needed = p.dim("for " + clean(c.Requirement.Needed))
		}
		p.fit(sign + " " + pad(st.cut(clean(c.Requirement.Name), names), names) + "  " + needed)
		if c.Err != nil {
			p.wrapped(4, c.Err.Error())
			if c.Requirement.Fix != "" {
				p.line("    " + st.paint(bold, clean(c.Requirement.Fix))) // to be copied: never cut
			}
		}
	}
	if missing > 0 {
		p.line("")
		p.line(fmt.Sprintf("%d of %s not met", missing, counted(len(checks), "requirement")))
	}
}
