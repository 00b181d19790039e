package report

import (
	"fmt"
	"io"
	"strings"
)

// screen keeps a few lines at the bottom of what has been printed and redraws them in place. The cursor rests on the
// empty line below them, so that what a user types there ("^C") disturbs nothing.
type screen struct {
	w     io.Writer
	drawn []string
	width int
	begun bool
}

const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	beginFrame = "\x1b[?2026h" // terminals that know it show the frame at once; the others ignore it
	endFrame   = "\x1b[?2026l"
	eraseLine  = "\x1b[2K"
	eraseBelow = "\x1b[J"
)

// draw prints above for good and lines in place of the lines drawn before. Lines must be narrower than cols.
// Nothing is written when nothing has changed.
func (s *screen) draw(above, lines []string, cols int) {
	resized := s.begun && cols != s.width
	full := len(above) > 0 || resized || len(lines) != len(s.drawn)
	var b strings.Builder
	if full {
		s.up(&b, cols)
		b.WriteString(eraseBelow)
		for _, line := range above {
			b.WriteString(line + "\r\n")
		}
		for _, line := range lines {
			b.WriteString(line + "\r\n")
		}
	} else {
		changed := false
		s.up(&b, cols)
		for i, line := range lines {
			if line != s.drawn[i] {
				changed = true
				b.WriteString(eraseLine + line)
			}
			b.WriteString("\r\n")
		}
		if !changed {
			return
		}
		b.WriteString(eraseLine)
	}
	begin := beginFrame
	if !s.begun {
		begin += hideCursor
	}
	s.drawn, s.width, s.begun = lines, cols, true
	_, _ = io.WriteString(s.w, begin+b.String()+endFrame) // a terminal that is gone ends the command by SIGHUP
}

// up moves to the first of the drawn lines. A terminal that became narrower has folded them.
func (s *screen) up(b *strings.Builder, cols int) {
	rows := 0
	for _, line := range s.drawn {
		rows += max(1, (width(line)+cols-1)/max(cols, 1))
	}
	b.WriteByte('\r')
	if rows > 0 {
		fmt.Fprintf(b, "\x1b[%dA", rows)
	}
}

// close takes the lines away and gives the cursor back.
func (s *screen) close() {
	if !s.begun {
		return
	}
	var b strings.Builder
	s.up(&b, s.width)
	_, _ = io.WriteString(s.w, b.String()+eraseBelow+showCursor)
	s.drawn, s.begun = nil, false
}
