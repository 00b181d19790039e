package labfile

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Write prints diagnostics for a person: summary, place in clickable form, the source line with the guilty range
// underlined, and the detail. width is the terminal's, in columns; 0 leaves long lines as they are.
func (d Diagnostics) Write(w io.Writer, width int, colour bool) error {
	var b bytes.Buffer
	for _, one := range d {
		one.write(&b, width, colour)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (d Diagnostic) write(b *bytes.Buffer, width int, colour bool) {
	word, start, stop := "Error", "", ""
	if d.Severity == Warning {
		word = "Warning"
	}
	if colour {
		start, stop = "\x1b[1;31m", "\x1b[0m"
		if d.Severity == Warning {
			start = "\x1b[1;33m"
		}
	}
	fmt.Fprintf(b, "%s%s:%s %s\n\n", start, word, stop, printable(d.Summary))
	if d.Place.File != "" {
		fmt.Fprintf(b, "  on %s", printable(d.Place.String()))
		if in := d.context(); in != "" {
			fmt.Fprintf(b, ", in %s", printable(in))
		}
		b.WriteString(":\n")
		d.snippet(b, start, stop)
		b.WriteByte('\n')
	}
	if d.Detail != "" {
		fmt.Fprintf(b, "%s\n\n", wrap(printable(d.Detail), width))
	}
}

// printable is a text of the lab without what would make a terminal do something: it may come from anywhere.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}

// context names the block around the place, as HCL's parser knows it.
func (d Diagnostic) context() string {
	if d.file == nil {
		return ""
	}
	if nav, ok := d.file.Nav.(interface{ ContextString(offset int) string }); ok {
		return nav.ContextString(d.Place.start)
	}
	return ""
}

// snippet prints the first line of the place, and a line of marks under its guilty part.
func (d Diagnostic) snippet(b *bytes.Buffer, start, stop string) {
	if d.file == nil || d.Place.Line == 0 || d.Place.start > len(d.file.Bytes) {
		return
	}
	src := d.file.Bytes
	from := bytes.LastIndexByte(src[:d.Place.start], '\n') + 1
	to := len(src)
	if i := bytes.IndexByte(src[d.Place.start:], '\n'); i >= 0 {
		to = d.Place.start + i
	}
	line := strings.TrimRight(string(src[from:to]), "\r")
	fmt.Fprintf(b, "%4d: %s\n", d.Place.Line, printable(line))

	before := string(src[from:d.Place.start])
	guilty := src[d.Place.start:max(d.Place.start, min(d.Place.end, to))]
	b.WriteString("      ")
	for _, r := range before {
		if r != '\t' { // a tab stays a tab, so that the marks stand below what they mark
			r = ' '
		}
		b.WriteRune(r)
	}
	fmt.Fprintf(b, "%s%s%s\n", start, strings.Repeat("^", max(1, utf8.RuneCount(guilty))), stop)
}

// wrap breaks lines between words so that none is longer than width, where words allow. Indented lines are left alone:
// they are commands to copy.
func wrap(text string, width int) string {
	if width <= 0 {
		return text
	}
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, " ") {
			out = append(out, line)
			continue
		}
		now := ""
		for word := range strings.FieldsSeq(line) {
			if now != "" && utf8.RuneCountInString(now)+1+utf8.RuneCountInString(word) > width {
				out, now = append(out, now), ""
			}
			if now != "" {
				now += " "
			}
			now += word
		}
		out = append(out, now)
	}
	return strings.Join(out, "\n")
}
