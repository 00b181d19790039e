package report

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"
)

// vt is as much of a terminal as Terminal uses: it folds at its last column, scrolls, and keeps what scrolled away. A
// sequence that it does not know fails the test.
type vt struct {
	t          *testing.T
	cols, rows int
	cells      [][]rune
	scrolled   []string
	row, col   int
	hidden     bool
	writes     atomic.Int32
	folded     int // lines that went over the last column
}

func newVT(t *testing.T, cols, rows int) *vt {
	v := &vt{t: t, cols: cols, rows: rows}
	for range rows {
		v.cells = append(v.cells, nil)
	}
	return v
}

func (v *vt) size() (cols, rows int) { return v.cols, v.rows }

func (v *vt) Write(p []byte) (int, error) {
	v.writes.Add(1)
	for s := string(p); s != ""; {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case strings.HasPrefix(s, "\x1b["):
			end := strings.IndexFunc(s[2:], func(r rune) bool { return r >= '@' && r <= '~' }) + 2
			v.sequence(s[2:end], s[end])
			n = end + 1
		case r == '\r':
			v.col = 0
		case r == '\n':
			v.feed()
		case r < ' ':
			v.t.Errorf("control character %q", r)
		default:
			if v.col >= v.cols {
				v.folded++
				v.col = 0
				v.feed()
			}
			line := v.cells[v.row]
			for len(line) <= v.col {
				line = append(line, ' ')
			}
			line[v.col] = r
			v.cells[v.row] = line
			v.col++
		}
		s = s[n:]
	}
	return len(p), nil
}

func (v *vt) feed() {
	if v.row++; v.row == v.rows {
		v.scrolled = append(v.scrolled, strings.TrimRight(string(v.cells[0]), " "))
		v.cells = append(v.cells[1:], nil)
		v.row--
	}
}

func (v *vt) sequence(args string, final byte) {
	switch what := args + string(final); {
	case what == "?25l":
		v.hidden = true
	case what == "?25h":
		v.hidden = false
	case what == "?2026h", what == "?2026l", final == 'm':
	case what == "2K":
		v.cells[v.row] = nil
	case what == "K":
		for i := v.col; i < len(v.cells[v.row]); i++ { // the row stays as long as it was, as in tmux
			v.cells[v.row][i] = ' '
		}
	case final == 'A':
		n, err := strconv.Atoi(args)
		if err != nil {
			v.t.Errorf("cursor up %q", args)
		}
		v.row = max(0, v.row-n)
	default:
		v.t.Errorf("sequence ESC [ %s is not known", what)
	}
}

// narrow makes the terminal narrower as tmux does it: a row that was ever longer is folded, unless all of it was erased.
func (v *vt) narrow(cols int) {
	var lines []string
	for i := range v.row {
		line := v.cells[i]
		for ; len(line) > cols; line = line[cols:] {
			lines = append(lines, string(line[:cols]))
		}
		lines = append(lines, string(line))
	}
	over := max(0, len(lines)+1-v.rows)
	v.scrolled = append(v.scrolled, lines[:over]...)
	v.cols = cols
	v.cells = make([][]rune, v.rows)
	for i, line := range lines[over:] {
		v.cells[i] = []rune(line)
	}
	v.row, v.col = len(lines)-over, 0
}

// screen is what is to be seen, without the empty lines at the end.
func (v *vt) screen() string {
	var b strings.Builder
	for _, line := range v.cells {
		fmt.Fprintln(&b, strings.TrimRight(string(line), " "))
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// all is the screen with what has scrolled away above it.
func (v *vt) all() string { return strings.Join(append(v.scrolled, v.screen()), "\n") }
