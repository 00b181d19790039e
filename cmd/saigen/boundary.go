package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

// boundaries says whether the verdicts of runs that differ in their driver depend on it, and returns the exit code of
// what it found: that two drivers differ is unexpected, whatever the lab expects.
func (w *world) boundaries(all []*runner.Summary, f runFlags) int {
	found := compare(all)
	exit := runner.ExitExpected
	for _, b := range found {
		if b.Depends {
			exit = runner.ExitUnexpected
		}
	}
	if !f.json {
		report.Boundaries(w.stdout, w.style(w.stdout), found)
		return exit
	}
	lines := report.NewJSON(w.stdout, report.Style{})
	for _, b := range found {
		lines.Event(runner.Event{At: time.Now(), Type: runner.Compared, Subject: b.Lab, Variant: b.Variant.String(), Text: b.Says, Holds: b.Known && !b.Depends})
	}
	return exit
}

// compare puts the results of each variant of each lab side by side, in the order in which they were run.
func compare(all []*runner.Summary) []report.Boundary {
	var out []report.Boundary
	var drivers []string
	for _, s := range all {
		if !slices.Contains(drivers, s.Driver) {
			drivers = append(drivers, s.Driver)
		}
		for _, v := range s.Variants {
			if !slices.ContainsFunc(out, func(b report.Boundary) bool { return b.Lab == s.Lab && slices.Equal(b.Variant, v.Variant) }) {
				out = append(out, report.Boundary{Lab: s.Lab, Variant: v.Variant, Expect: v.Expect})
			}
		}
	}
	for i := range out {
		b := &out[i]
		for _, d := range drivers {
			b.On = append(b.On, onDriver(all, d, b))
		}
		judgeBoundary(b)
	}
	return out
}

// onDriver is what a variant got on one driver, over its trials.
func onDriver(all []*runner.Summary, driver string, b *report.Boundary) report.OnDriver {
	on := report.OnDriver{Driver: driver, Got: map[lab.Verdict]int{}}
	trials := 0
	for _, s := range all {
		if s.Lab != b.Lab || s.Driver != driver {
			continue
		}
		for _, o := range s.Outcomes {
			if slices.Equal(o.Variant, b.Variant) {
				trials++
				on.Got[o.Verdict]++
				on.Took += o.Took
			}
		}
	}
	if trials > 0 {
		on.Took /= time.Duration(trials)
	}
	for _, v := range lab.Verdicts() {
		if n := on.Got[v]; v != lab.Inconclusive && n > on.Got[on.Verdict] {
			on.Verdict = v
		}
	}
	return on
}

// judgeBoundary says whether the verdict depends on the driver. A driver without a conclusive trial says nothing.
func judgeBoundary(b *report.Boundary) {
	by := map[lab.Verdict][]string{} // names of drivers; the empty verdict: those that say nothing
	var verdicts []lab.Verdict
	for _, on := range b.On {
		if by[on.Verdict] == nil && on.Verdict != "" {
			verdicts = append(verdicts, on.Verdict)
		}
		by[on.Verdict] = append(by[on.Verdict], on.Driver)
	}
	var parts []string
	for _, v := range verdicts {
		parts = append(parts, fmt.Sprintf("%s on %s", v, and(by[v])))
	}
	if none := by[""]; len(none) > 0 {
		parts = append(parts, "inconclusive on "+and(none))
	}
	b.Depends = len(verdicts) > 1
	b.Known = b.Depends || len(by[""]) == 0 && len(b.On) > 1
	end := "whether the verdict depends on the boundary is not known"
	switch {
	case b.Depends:
		end = "the verdict depends on the boundary"
	case b.Known:
		end = "the verdict does not depend on the boundary"
	}
	b.Says = cmp.Or(strings.Join(parts, ", "), "nothing was run") + ": " + end
}
