package assertions

import "strings"

// lineKept is how many bytes of one line are kept as evidence.
const lineKept = 500

// firstLines returns the first lines of a text.
func firstLines(text []byte, most int) []string {
	lines := splitLines(text)
	return clip(lines[:min(most, len(lines))])
}

// lastLines returns the last lines of a text.
func lastLines(text []byte, most int) []string {
	lines := splitLines(text)
	return clip(lines[len(lines)-min(most, len(lines)):])
}

func splitLines(text []byte) []string {
	s := strings.TrimRight(string(text), "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

func clip(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		if len(l) > lineKept {
			l = strings.ToValidUTF8(l[:lineKept], "") + "…"
		}
		out[i] = l
	}
	return out
}
