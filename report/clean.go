package report

import (
	"regexp"
	"strings"
	"unicode"
)

// escapes matches terminal sequences: CSI, the string sequences that are terminated, and the short ones.
var escapes = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]`)

// cleanText makes text from a machine safe to print: escape sequences are dropped, then control and format characters
// (bidirectional overrides among them); bytes that are not UTF-8 become U+FFFD, tabs spaces. Newlines stay.
func cleanText(s string) string {
	s = escapes.ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), "")
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case r == '\r', r == '\u2028', r == '\u2029':
			return '\n'
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == 0xFFFE, r == 0xFFFF:
			return -1
		}
		return r
	}, s)
}

// clean is cleanText on one line.
func clean(s string) string {
	return strings.Join(strings.FieldsFunc(cleanText(s), func(r rune) bool { return r == '\n' }), " ")
}

// lastLines returns the last n lines of cleaned text that are not blank.
func lastLines(s string, n int) []string {
	var lines []string
	for line := range strings.Lines(cleanText(s)) {
		if line = strings.TrimRight(line, " \n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-n):]
}
