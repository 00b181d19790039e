package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/saigen-lab/saigen/diff"
)

// Differences prints what differs between two sides, one line for each where it fits. most bounds how many are shown of a
// topic; 0: all.
func Differences(w io.Writer, st Style, a, b string, all []diff.Difference, most int) {
	p := printer{w: w, st: st}
	if len(all) == 0 {
		p.line(fmt.Sprintf("%s and %s do not differ", clean(a), clean(b)))
		return
	}
	name := func(d diff.Difference) string { return clean(d.Topic + ": " + d.Name) }
	value := func(v *string) string {
		switch {
		case v == nil:
			return st.glyphs().dash
		case *v == "":
			return `""`
		}
		return clean(*v)
	}
	first, second := width(a), 0
	for _, d := range all {
		first = max(first, width(value(d.A)))
		second = max(second, width(name(d)))
	}
	second, first = min(second, p.wide()*2/5), min(first, p.wide()*3/10)
	p.line(p.st.paint(bold, strings.Repeat(" ", second+2)+pad(clean(a), first)+"  "+clean(b)))
	shown := map[string]int{}
	for _, d := range all {
		if shown[d.Topic]++; most > 0 && shown[d.Topic] > most {
			continue
		}
		row := pad(name(d), second) + "  " + pad(value(d.A), first) + "  " + value(d.B)
		if width(name(d)) <= second && width(value(d.A)) <= first && width(row) <= p.wide() {
			p.line(row)
			continue
		}
		p.line(name(d))
		for _, side := range []struct {
			who string
			v   *string
		}{{a, d.A}, {b, d.B}} {
			indent := max(width(clean(a)), width(clean(b))) + 4
			lines := wrap(value(side.v), max(20, p.wide()-indent))
			for i, line := range lines {
				head := ""
				if i == 0 {
					head = "  " + clean(side.who)
				}
				p.line(pad(head, indent) + line)
			}
		}
	}
	for _, topic := range topicsOf(all) {
		if n := shown[topic] - most; most > 0 && n > 0 {
			p.line(p.st.paint(dim, fmt.Sprintf("%s: %d more; --all shows them", clean(topic), n)))
		}
	}
}

func topicsOf(all []diff.Difference) []string {
	var out []string
	for _, d := range all {
		if len(out) == 0 || out[len(out)-1] != d.Topic {
			out = append(out, d.Topic)
		}
	}
	return out
}
