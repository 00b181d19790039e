package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Boundary is what one variant of a lab got on several drivers.
type Boundary struct {
	Lab     string
	Variant lab.Variant
	Expect  lab.Verdict
	On      []OnDriver
	Depends bool   // two drivers gave different verdicts
	Known   bool   // every driver gave one, or Depends
	Says    string // all that in a sentence
}

// OnDriver is what it got on one of them.
type OnDriver struct {
	Driver  string
	Verdict lab.Verdict         // the most frequent one of those that are conclusive; empty: none was
	Got     map[lab.Verdict]int // how often, over all trials
	Took    time.Duration       // of one trial, on average
}

// Boundaries prints a table of variants and drivers for each lab, and below each table a sentence for each variant.
func Boundaries(w io.Writer, st Style, all []Boundary) {
	p := printer{w: w, st: st}
	g := st.glyphs()
	for begin := 0; begin < len(all); {
		end := begin
		for end < len(all) && all[end].Lab == all[begin].Lab {
			end++
		}
		t := table{st: st, head: []string{clean(all[begin].Lab)}}
		for _, on := range all[begin].On {
			t.head = append(t.head, clean(on.Driver))
		}
		for _, b := range all[begin:end] {
			cells := []cell{{text: variantName(b.Variant), keep: true}}
			for _, on := range b.On {
				cells = append(cells, on.cell(b.Expect))
			}
			t.row(cells...)
		}
		p.line("")
		t.print(w)
		for _, b := range all[begin:end] {
			sign, c := g.blind, yellow
			switch {
			case b.Depends:
				sign, c = g.bad, red
			case b.Known:
				sign, c = g.good, green
			}
			lines := wrap(clean(variantName(b.Variant)+": "+b.Says), p.wide()-2)
			p.line(st.paint(c, sign) + " " + lines[0])
			for _, line := range lines[1:] {
				p.line("  " + line)
			}
		}
		begin = end
	}
}

// cell is "reproduced 1 m 10 s", or "9 reproduced, 1 inconclusive 1 m 10 s" where the trials differ.
func (on OnDriver) cell(expect lab.Verdict) cell {
	var got []string
	for _, v := range lab.Verdicts() {
		if n := on.Got[v]; n > 0 && len(on.Got) > 1 {
			got = append(got, fmt.Sprintf("%d %s", n, v))
		} else if n > 0 {
			got = append(got, string(v))
		}
	}
	c := cell{text: "not run", colour: yellow, keep: true}
	if len(got) > 0 {
		c.text = strings.Join(got, ", ") + " " + Duration(on.Took)
	}
	switch on.Verdict {
	case "":
	case expect:
		c.colour = green
	default:
		c.colour = red
	}
	return c
}
