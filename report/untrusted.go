package report

import (
	"bytes"
	"io"
	"regexp"
	"strings"
)

// A CI service reads what a job prints, and takes some lines for commands to itself: GitHub those that begin with "::", and
// older ones that have "##[" anywhere; Azure "##vso[". What a machine has printed is no command.
var ciCommand = regexp.MustCompile(`##([A-Za-z]*)\[`)

// noCommand is a line that no CI service takes for a command.
func noCommand(line string) string {
	line = ciCommand.ReplaceAllString(line, "## $1[")
	if strings.HasPrefix(strings.TrimSpace(line), "::") {
		return "| " + line
	}
	return line
}

// Failure prints why a command failed. tail, which may be empty, is the last that a program printed, perhaps one in a machine; hint
// says what to do.
func Failure(w io.Writer, why, tail, hint string) {
	block := func(s string) {
		for line := range strings.SplitSeq(strings.TrimSuffix(cleanText(s), "\n"), "\n") {
			put(w, line)
		}
	}
	block("Error: " + why)
	for _, s := range []string{tail, hint} {
		if s != "" {
			put(w, "")
			block(s)
		}
	}
}

// Lines is a writer of text from a machine, which it passes on line by line, without what would make a terminal or a CI service do
// something. Of a line that is longer than 64 KiB, parts are lines. Close writes the last line, if it has no end.
type Lines struct {
	w    io.Writer
	line []byte
}

// NewLines returns a writer to w, which is not closed.
func NewLines(w io.Writer) *Lines { return &Lines{w: w} }

const longestLine = 64 << 10

// Write implements io.Writer.
func (l *Lines) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		n, skip := i, i+1
		if i < 0 {
			n, skip = len(rest), len(rest)
		}
		if room := longestLine - len(l.line); n > room {
			n, skip, i = room, room, room
		}
		l.line = append(l.line, rest[:n]...)
		rest = rest[skip:]
		if i >= 0 {
			if err := l.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// Close implements io.Closer.
func (l *Lines) Close() error {
	if len(l.line) == 0 {
		return nil
	}
	return l.flush()
}

func (l *Lines) flush() error {
	var out strings.Builder
	for line := range strings.SplitSeq(cleanText(string(l.line)), "\n") {
		put(&out, line)
	}
	l.line = l.line[:0]
	_, err := io.WriteString(l.w, out.String())
	return err
}
