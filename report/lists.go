package report

import (
	"fmt"
	"io"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// RunLine is one run on disk, for Runs.
type RunLine struct {
	Run     lab.RunID
	Lab     string
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
		t.row(cell{text: string(r.Run), keep: true}, cell{text: result, colour: c}, cell{text: r.Lab}, cell{text: r.Started.Format("_2 Jan 15:04")},
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
	Variants []LabVariant
	Problem  string // why it could not be read; empty: it could
}

// LabVariant is one variant of a lab and the verdict that it must get.
type LabVariant struct {
	Variant lab.Variant
	Expect  lab.Verdict
}

// Labs prints the table of saigen list; with Verbose each variant and its expected verdict below its lab.
func Labs(w io.Writer, st Style, labs []LabLine) {
	if len(labs) == 0 {
		put(w, "no labs here")
		return
	}
	t := table{st: st, head: []string{"lab", "variants", "title"}}
	for _, l := range labs {
		title := cell{text: l.Title}
		if l.Problem != "" {
			title = cell{text: l.Problem, colour: red}
		}
		t.row(cell{text: l.Name, keep: true}, cell{text: fmt.Sprint(len(l.Variants)), right: true}, title)
		if st.Level < Verbose {
			continue
		}
		for _, v := range l.Variants {
			t.below("  " + variantName(v.Variant) + "  " + clean(string(v.Expect)))
		}
	}
	t.print(w)
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
