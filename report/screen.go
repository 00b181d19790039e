package report

import (
	"fmt"
	"io"
	"slices"
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
	eraseRight = "\x1b[K"
)

// draw prints above for good and lines in place of the lines drawn before. Lines must be narrower than cols; what is
// printed for good may be longer. Nothing is written when nothing has changed; when something has, every line is written
// over what is there, which is calm to look at and puts right what a user's typing has disturbed.
func (s *screen) draw(above, lines []string, cols int) {
	cols = max(cols, 1)
	if len(above) == 0 && s.begun && cols == s.width && slices.Equal(lines, s.drawn) {
		return
	}
	var b strings.Builder
	b.WriteString(beginFrame)
	if !s.begun {
		b.WriteString(hideCursor)
	}
	old := s.up(&b, cols)
	row := 0
	for _, line := range append(slices.Clip(above), lines...) {
		n := width(line)
		if cols != s.width || row < len(s.drawn) && n < width(s.drawn[row]) {
			b.WriteString(eraseLine) // a resized tmux folds and joins rows by what was ever in them, unless all was erased
		}
		row += rowsOf(line, cols)
		b.WriteString(line)
		if n == 0 || n%cols != 0 { // else the rows are full, and some terminals would erase the last sign
			b.WriteString(eraseRight)
		}
		b.WriteString("\r\n")
		old -= rowsOf(line, cols)
	}
	blank(&b, old)
	b.WriteString(endFrame)
	s.drawn, s.width, s.begun = lines, cols, true
	_, _ = io.WriteString(s.w, b.String()) // a terminal that is gone ends the command by SIGHUP
}

// up moves to the first of the drawn lines and returns their number of rows: a terminal that became narrower has
// folded them.
func (s *screen) up(b *strings.Builder, cols int) int {
	rows := 0
	for _, line := range s.drawn {
		rows += rowsOf(line, cols)
	}
	b.WriteByte('\r')
	if rows > 0 {
		fmt.Fprintf(b, "\x1b[%dA", rows)
	}
	return rows
}

// blank erases rows from the cursor on, the row below them too, and comes back. It does so line by line, because tmux
// keeps in its history what is erased from the top of the screen to its end.
func blank(b *strings.Builder, rows int) {
	rows = max(rows, 0)
	b.WriteString(strings.Repeat(eraseLine+"\r\n", rows) + eraseLine)
	if rows > 0 {
		fmt.Fprintf(b, "\x1b[%dA", rows)
	}
}

func rowsOf(line string, cols int) int { return max(1, (width(line)+cols-1)/cols) }

// close takes the lines away and gives the cursor back.
func (s *screen) close() {
	if !s.begun {
		return
	}
	var b strings.Builder
	blank(&b, s.up(&b, s.width))
	_, _ = io.WriteString(s.w, b.String()+showCursor)
	s.drawn, s.begun = nil, false
}
