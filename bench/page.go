package main

import (
	"fmt"
	"math"
	"strings"
)

// page is docs/performance.md: all of it is made of the figures and of what the lines say about themselves.
func page(f *figures, groups []group) string {
	var b strings.Builder
	b.WriteString(`# Performance

Written by ` + "`make bench`" + `, which measures each line in one go against the same thing done by hand: the two take turns, so that what
else the host does hits both. Nothing here is typed by hand; the raw figures are in [performance.json](performance.json). A ratio is
saigen's median by that of the other.

`)
	b.WriteString(table(f, groups))
	if rest := unmet(f, groups); rest != "" {
		b.WriteString("\n## What is left where a budget is not met\n\n" + rest)
	}
	b.WriteString("\n## What was measured, and against what\n\n")
	for _, l := range linesOf(groups) {
		fmt.Fprintf(&b, "- **%s** (`ONLY=%s`): %s Against: %s\n", l.what, l.name, l.saigen, l.hand)
		if m := f.Lines[l.name]; m == nil {
			b.WriteString("  Not measured yet on this host.\n")
		} else if m.Missing != "" {
			fmt.Fprintf(&b, "  Here: %s.\n", m.Missing)
		}
	}
	b.WriteString("\n## On what\n\n")
	b.WriteString(f.Machine.table())
	b.WriteString("\n## When\n\n| lines | commit | date | load average before | took |\n|---|---|---|---|---|\n")
	names := map[occasion][]string{}
	var all []occasion
	for _, l := range linesOf(groups) {
		if m := f.Lines[l.name]; m != nil {
			if names[m.On] == nil {
				all = append(all, m.On)
			}
			names[m.On] = append(names[m.On], "`"+l.name+"`")
		}
	}
	for _, on := range all {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", strings.Join(names[on], ", "), on.Commit, on.Date, on.Load, on.Took)
	}
	b.WriteString("\n`make bench ONLY=name` measures one line, or several with commas between them, and leaves the others as they are.\n")
	return b.String()
}

func table(f *figures, groups []group) string {
	var b strings.Builder
	b.WriteString("| what | budget | saigen: median | p95 | n | by hand: median | n | ratio | budget |\n|---|---|---:|---:|---:|---:|---:|---:|---|\n")
	for _, l := range linesOf(groups) {
		m := f.Lines[l.name]
		if m == nil || len(m.Saigen)+len(m.Hand) == 0 && m.Missing == "" { // nobody asked for it
			continue
		}
		var budgets []string
		for _, limit := range l.budgets {
			budgets = append(budgets, limit.in(l.unit))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %s | %d | %s | %s |\n", l.what, or(strings.Join(budgets, ", "), "–"),
			l.unit.text(median(m.Saigen)), l.unit.text(percentile(m.Saigen, 0.95)), len(m.Saigen),
			l.unit.text(median(m.Hand)), len(m.Hand), times(m.of(ratio)), m.outcome(l.budgets))
	}
	return b.String()
}

// unmet says of each budget that is not met what takes the time.
func unmet(f *figures, groups []group) string {
	var b strings.Builder
	for _, l := range linesOf(groups) {
		if m := f.Lines[l.name]; m != nil && l.rest != "" && m.outcome(l.budgets) == notMet {
			fmt.Fprintf(&b, "- **%s**: %s\n", l.what, l.rest)
		}
	}
	return b.String()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// in is the budget as people read it.
func (b budget) in(u unit) string {
	if b.of == ratio {
		return "≤ " + times(b.most)
	}
	return string(b.of) + " ≤ " + u.text(b.most)
}

func times(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return figure(v) + " ×"
}

// text is a figure with the unit that suits it.
func (u unit) text(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case u == bytes:
		return figure(v/1e6) + " MB"
	case v < 0.1:
		return figure(v*1000) + " ms"
	}
	return figure(v) + " s"
}

// figure has three digits that mean something, and no zeros that mean nothing.
func figure(v float64) string {
	decimals := 0
	if v != 0 {
		decimals = max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	}
	s := fmt.Sprintf("%.*f", decimals, v)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
