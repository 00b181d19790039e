package report

import (
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/saigen-lab/saigen/lab"
)

// Style says how to print.
type Style struct {
	Color  bool  // false with NO_COLOR set, and when the output is no terminal
	ASCII  bool  // the locale is not UTF-8
	Width  int   // columns; 0: lines are as long as they are
	Height int   // rows that a summary should fit on; 0: as many as it takes
	Level  Level // --quiet, nothing, -v
	// Parallel says that trials may run side by side, so that each line says of which it is.
	Parallel bool
	Up       string // the command that goes into this lab, "saigen up labs/stale-dns"; empty: made from the lab's name
}

// Level says how much to print.
type Level int

// The levels.
const (
	Quiet   Level = -1 // failures and the summary
	Normal  Level = 0
	Verbose Level = 1 // observations too
)

type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	dim    colour = "2"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
)

func (st Style) paint(c colour, s string) string {
	if !st.Color || c == plain || s == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

// glyphs are the few signs that are not letters.
type glyphs struct{ good, bad, present, absent, blind, dots, dash, rule string }

func (st Style) glyphs() glyphs {
	if st.ASCII {
		return glyphs{good: "+", bad: "x", present: "*", absent: "-", blind: "?", dots: "...", dash: "-", rule: "-"}
	}
	return glyphs{good: "✓", bad: "✗", present: "●", absent: "○", blind: "?", dots: "…", dash: "–", rule: "─"}
}

// put prints a line. That it cannot be written is no reason to stop a run: what it says is in the evidence too.
func put(w io.Writer, line string) { _, _ = io.WriteString(w, noCommand(line)+"\n") }

// width is the number of columns that a painted string takes.
func width(s string) int { return ansi.StringWidth(s) }

// cut shortens a painted string to n columns, with dots where something was cut.
func (st Style) cut(s string, n int) string {
	if width(s) <= n {
		return s
	}
	return ansi.Truncate(s, max(n, 0), st.glyphs().dots)
}

// fit cuts a line to the style's width.
func (st Style) fit(s string) string {
	if st.Width <= 0 {
		return s
	}
	return st.cut(s, st.Width)
}

// pad fills a painted string to n columns.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-width(s))) }

// padLeft fills it from the left.
func padLeft(s string, n int) string { return strings.Repeat(" ", max(0, n-width(s))) + s }

// wrap breaks text between words into lines of at most n columns; a longer word is cut in pieces.
func wrap(s string, n int) []string { return fill(strings.Fields(s), n) }

// wrapFigures breaks text after commas where it can: "2 answers, 1 address" is not torn apart inside "1 address".
func wrapFigures(s string, n int) []string {
	var words []string
	for _, phrase := range strings.SplitAfter(s, ", ") {
		if phrase = strings.TrimSpace(phrase); width(phrase) <= n {
			words = append(words, phrase)
		} else {
			words = append(words, strings.Fields(phrase)...)
		}
	}
	return fill(words, n)
}

// fill puts words into lines.
func fill(words []string, n int) []string {
	if n <= 0 {
		return []string{strings.Join(words, " ")}
	}
	var lines []string
	line := ""
	for _, word := range words {
		for width(word) > n {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			head := ansi.Truncate(word, n, "")
			if head == "" { // one sign is wider than the line
				break
			}
			lines, word = append(lines, head), strings.TrimPrefix(word, head)
		}
		switch {
		case word == "":
		case line == "":
			line = word
		case width(line)+1+width(word) <= n:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// verdictColour: what was expected is green, what was not is red, and what could not be judged is yellow.
func verdictColour(got, expected lab.Verdict) colour {
	switch got {
	case lab.Inconclusive:
		return yellow
	case expected:
		return green
	}
	return red
}

// short is an address without its role: "dns_answers.dead_addresses".
func short(address string) string {
	_, rest, ok := strings.Cut(address, ".")
	if !ok {
		return address
	}
	return rest
}

func role(address string) string {
	r, _, _ := strings.Cut(address, ".")
	return r
}
