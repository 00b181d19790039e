package report

import (
	"fmt"
	"strings"

	"github.com/saigen-lab/saigen/runner"
)

// figures is the table control | fault | after remedy, one row per symptom, with what was observed in each: in at most so
// many lines, which are cut then; 0: in as many as it takes.
func (p printer) figures(o *runner.Outcome, title string, most int) {
	columns := []string{"control", "fault", "after remedy"}
	if len(o.Remedies) == 0 {
		columns = columns[:2]
	}
	const gap = 2
	first := 0
	for _, s := range o.Symptoms {
		for _, part := range symptomName(s, most) {
			first = max(first, width(part))
		}
	}
	first = min(first, p.wide()/4)
	cell := (p.wide()-first)/len(columns) - gap

	p.line("")
	if title != "" {
		p.fit(p.st.paint(bold, title))
	}
	if len(o.Symptoms) == 0 {
		return // it did not come that far
	}
	head := strings.Repeat(" ", first)
	for _, c := range columns {
		head += strings.Repeat(" ", gap) + p.st.paint(bold, pad(p.st.cut(c, cell), cell))
	}
	p.line(head)
	for i, s := range o.Symptoms {
		if most == 0 || i == 0 {
			p.line(p.dim(strings.Repeat(p.st.glyphs().rule, first+len(columns)*(cell+gap))))
		}
		cells := [][]string{symptomName(s, most)}
		for _, text := range []string{s.Control, s.Last, s.AfterCure}[:len(columns)] {
			cells = append(cells, p.shortened(wrapFigures(clean(text), cell), most, cell))
		}
		p.row(first, cell, gap, cells)
	}
}

// shortened keeps at most so many lines; the last one ends in dots where some were dropped. 0: all.
func (p printer) shortened(lines []string, most, n int) []string {
	if most == 0 || len(lines) <= most {
		return lines
	}
	last := lines[most-1] + p.st.glyphs().dots
	if width(last) > n {
		last = p.st.cut(last, n)
	}
	return append(lines[:most-1:most-1], last)
}

// row prints cells side by side, each over as many lines as it has. The fault's figures are the ones to look at.
func (p printer) row(first, cell, gap int, cells [][]string) {
	most := 0
	for _, c := range cells {
		most = max(most, len(c))
	}
	for i := range most {
		line := ""
		for n, c := range cells {
			text, size, colour := "", cell, plain
			if i < len(c) {
				text = c[i]
			}
			switch n {
			case 0:
				size = first
			case 2:
				colour = yellow
			}
			if n > 0 {
				line += strings.Repeat(" ", gap)
			}
			line += p.st.paint(colour, pad(p.st.cut(text, size), size))
		}
		p.line(line)
	}
}

// symptomName is the first cell of a row: kind, name, and when it appeared; of these the most important in at most so many lines.
func symptomName(s runner.SymptomResult, most int) []string {
	kind, name, _ := strings.Cut(clean(short(s.Address)), ".")
	after := "after " + Duration(s.After)
	switch {
	case most == 1:
		return []string{name}
	case s.Appeared && most == 2:
		return []string{name, after}
	case s.Appeared:
		return []string{kind, name, after}
	}
	return []string{kind, name}
}

// cures says in a sentence what the remedies did, as declared; what went against it is in the verdict's reason.
func (p printer) cures(o *runner.Outcome) {
	var cured, not []string
	for _, r := range o.Remedies {
		if r.Cured {
			cured = append(cured, clean(r.Name))
		} else {
			not = append(not, clean(r.Name))
		}
	}
	if len(o.Remedies) > 0 {
		p.line("")
	}
	if len(cured) > 0 {
		p.wrapped(0, "cured by "+strings.Join(cured, ", "))
	}
	if len(not) > 0 {
		p.wrapped(0, "not cured by "+strings.Join(not, ", "))
	}
}

// remedies is a line for each remedy.
func (p printer) remedies(o *runner.Outcome) {
	if len(o.Remedies) == 0 {
		return
	}
	p.line("")
	longest := 0
	for _, r := range o.Remedies {
		longest = max(longest, width(clean(r.Name)))
	}
	longest = min(longest, p.wide()/3)
	for _, r := range o.Remedies {
		did := "cured"
		if !r.Cured {
			did = "did not cure"
		}
		c, wish := green, ", as declared"
		if r.Cured != r.Cures {
			c, wish = red, ", against its declaration"
		}
		why := ""
		if r.Why != "" {
			why = p.dim(": " + clean(r.Why))
		}
		p.fit(fmt.Sprintf("remedy %s  %s%s", pad(p.st.cut(clean(r.Name), longest), longest), p.st.paint(c, did+wish), why))
	}
}
