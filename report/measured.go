package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// amount is a number in its unit: "18.4 s", "172 bytes", "66.3 MiB", "12.5 %", "8".
func amount(v float64, unit lab.Unit) string {
	switch unit {
	case lab.Seconds:
		return span(v)
	case lab.Bytes:
		return inBytes(v)
	case lab.Percent:
		return digits(100*v) + " %"
	}
	return digits(v)
}

// digits keeps whole numbers whole, and of others what a reader compares: four digits.
func digits(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// span is a duration that is a result: with one digit more than one that only passes.
func span(seconds float64) string {
	const day = 24 * 60 * 60
	switch s := math.Abs(seconds); {
	case s >= 100*day:
		return strconv.FormatFloat(seconds/day, 'f', 0, 64) + " days"
	case s >= 2*day:
		return strconv.FormatFloat(seconds/day, 'g', 3, 64) + " days"
	case s >= 0.9995 && s < 59.95:
		return strconv.FormatFloat(seconds, 'g', 3, 64) + " s"
	}
	return Duration(time.Duration(seconds * float64(time.Second)))
}

// inBytes keeps small sizes exact: a message of 172 bytes is not one of 0.2 KiB.
func inBytes(v float64) string {
	const few = 10_000
	if math.Abs(v) < few {
		return digits(v) + " bytes"
	}
	return Bytes(int64(v))
}

// figureName is how people read a figure's name.
func figureName(f lab.Figure) string { return clean(spoken(f.Name)) }

// spreadText is what was measured of a figure: "8", or "18.4 s [9.21 s to 18.5 s]", the median and the range of several trials.
func (st Style) spreadText(s runner.Spread) string {
	if s.N == 0 {
		return st.glyphs().dash
	}
	text, low, high := amount(s.Median, s.Unit), amount(s.Min, s.Unit), amount(s.Max, s.Unit)
	if low != high {
		text += fmt.Sprintf(" [%s to %s]", low, high)
	}
	return text
}

// measured is each figure with what was measured and, in brackets, what the incident's report said: "answers 8 (8)".
func (st Style) measured(all []runner.Spread) []string {
	var out []string
	for _, s := range all {
		text := figureName(s.Figure) + " " + st.spreadText(s)
		if s.Incident != "" {
			text += " (" + clean(s.Incident) + ")"
		}
		out = append(out, text)
	}
	return out
}

// figureLines puts figures into lines of at most n columns, none of which is torn apart where that can be helped.
func figureLines(figures []string, n int) []string {
	var words []string
	for i, f := range figures {
		if i < len(figures)-1 {
			f += ";"
		}
		if width(f) <= n {
			words = append(words, f)
		} else {
			words = append(words, strings.Fields(f)...)
		}
	}
	return fill(words, n)
}

// spreadsOf are the figures of one trial, in the form of those of several.
func spreadsOf(o *runner.Outcome) []runner.Spread {
	var out []runner.Spread
	for _, f := range o.Figures {
		s := runner.Spread{Figure: f.Figure, Address: f.Address}
		if f.Measured != nil {
			s.N, s.Min, s.Median, s.Max = 1, *f.Measured, *f.Measured, *f.Measured
		}
		out = append(out, s)
	}
	return out
}

// beside prints figures with those of the incident's report.
func (p printer) beside(all []runner.Spread) {
	if len(all) == 0 {
		return
	}
	p.line("")
	for _, line := range figureLines(append([]string{"measured (reported): " + p.st.measured(all)[0]}, p.st.measured(all)[1:]...), p.wide()) {
		p.line(line)
	}
}
