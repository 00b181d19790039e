package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// page is docs/reliability.md: all of it is made of the figures and of what the scenarios say about themselves.
func page(r *report, all []scenario) string {
	var b strings.Builder
	b.WriteString(`# Reliability

Written by ` + "`make torture`" + `, which breaks the real saigen on real machines and counts what comes of it. Nothing here is typed by hand;
the raw figures are in [reliability.json](reliability.json). ` + "`make test`" + ` does the same in a short form.

## What is promised, and how it is tested

`)
	for _, s := range all {
		fmt.Fprintf(&b, "- **%s** %s\n  *Tested so* (`ONLY=%s`): %s\n", heading(s.name), s.promise, s.name, s.how)
	}
	b.WriteString(`
Before saigen makes anything outside its own folders, it writes how to undo it to the run's ledger, and waits until that is on the disk. See
[the folder of a run](run-folder.md) for where that is, and [verdicts](verdicts.md) for what the exit codes mean.

## The figures

`)
	b.WriteString(table(r, all))
	b.WriteString("\n*Leaks* are points after which anything was left on the host, *damaged* those after which an image, a store or a snapshot was not what\n" +
		"it had been, *wrong* those at or after which a verdict or an exit code was not the right one.\n")
	b.WriteString("\n## What came of it where saigen lived on\n\n")
	b.WriteString(outcomes(r, all))
	b.WriteString("\n## What went wrong\n\n")
	b.WriteString(failures(r, all))
	b.WriteString("\n## On what\n\n")
	b.WriteString(circumstances(r, all))
	b.WriteString("\n`make torture ONLY=name` does one scenario anew, or several with commas between them; `POINTS=n` sets how often the sweep kills.\n")
	return b.String()
}

func heading(name string) string { return strings.ToUpper(name[:1]) + name[1:] + "." }

func table(r *report, all []scenario) string {
	var b strings.Builder
	b.WriteString("| scenario | what | points | leaks | damaged | wrong | slowest clean-up |\n|---|---|---:|---:|---:|---:|---:|\n")
	var sum tally
	for _, s := range all {
		res := r.Scenarios[s.name]
		if res == nil { // nobody asked for it
			continue
		}
		if res.Missing != "" {
			fmt.Fprintf(&b, "| %s | %s | – | – | – | – | – |\n", s.name, res.Missing)
		}
		for _, t := range res.Tallies {
			fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %s |\n", s.name, t.What, t.Points, t.Leaks, t.Damaged, t.Wrong, t.Slowest)
			sum.Points, sum.Leaks, sum.Damaged, sum.Wrong = sum.Points+t.Points, sum.Leaks+t.Leaks, sum.Damaged+t.Damaged, sum.Wrong+t.Wrong
			sum.Slowest = max(sum.Slowest, t.Slowest)
		}
	}
	fmt.Fprintf(&b, "| **all** | | **%d** | **%d** | **%d** | **%d** | %s |\n", sum.Points, sum.Leaks, sum.Damaged, sum.Wrong, sum.Slowest)
	return b.String()
}

func (s seconds) String() string {
	if s == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f s", float64(s))
}

// circumstances says on what host each scenario was done, when, and with which saigen.
func circumstances(r *report, all []scenario) string {
	var b strings.Builder
	var hosts []string
	for _, s := range all {
		if res := r.Scenarios[s.name]; res != nil && !slices.Contains(hosts, res.On.String()) {
			hosts = append(hosts, res.On.String())
		}
	}
	for i, host := range hosts {
		fmt.Fprintf(&b, "%d. %s\n", i+1, host)
	}
	b.WriteString("\n| scenario | host | saigen | date | load before | took | compared |\n|---|---|---|---|---|---|---|\n")
	for _, s := range all {
		if res := r.Scenarios[s.name]; res != nil {
			fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %s | %s |\n", s.name, 1+slices.Index(hosts, res.On.String()), res.On.Saigen, res.On.Date,
				res.On.Load, time.Duration(float64(res.Took)*float64(time.Second)).Round(time.Second), res.On.compared())
		}
	}
	return b.String()
}

// outcomes lists what became of saigen, what was most frequent first.
func outcomes(r *report, all []scenario) string {
	var b strings.Builder
	for _, s := range all {
		if r.Scenarios[s.name] == nil {
			continue
		}
		for _, t := range r.Scenarios[s.name].Tallies {
			if len(t.Outcomes) == 0 {
				continue
			}
			var each []string
			for _, o := range slices.SortedFunc(maps.Keys(t.Outcomes), func(x, y string) int {
				if n := t.Outcomes[y] - t.Outcomes[x]; n != 0 {
					return n
				}
				return strings.Compare(x, y)
			}) {
				each = append(each, fmt.Sprintf("%d × %s", t.Outcomes[o], o))
			}
			fmt.Fprintf(&b, "- %s, %s: %s\n", s.name, t.What, strings.Join(each, "; "))
		}
	}
	if b.Len() == 0 {
		return "It did in none of these.\n"
	}
	return b.String()
}

// failures lists everything that was not as promised.
func failures(r *report, all []scenario) string {
	var b strings.Builder
	for _, s := range all {
		if r.Scenarios[s.name] == nil {
			continue
		}
		for _, line := range figures(r.Scenarios[s.name].Tallies).failures() {
			fmt.Fprintf(&b, "- %s\n", line)
		}
	}
	if b.Len() == 0 {
		return "Nothing.\n"
	}
	return b.String()
}
