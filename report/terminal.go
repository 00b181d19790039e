package report

import (
	"bytes"
	"cmp"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/runner"
)

// Terminal is the live view: finished phases scroll up as plain lines, and below them a few lines show the trial under
// way, where each of its arms is, and what each assertion saw last in them, side by side. It redraws at most ten times a
// second, and only when something changed. With Verbose the steps stay as lines of their own. It has no quiet form: that
// is Plain.
type Terminal struct {
	st   Style
	size func() (cols, rows int)
	now  func() time.Time

	drawing sync.Mutex // held while writing, which may take as long as a user holds the terminal's output; taken before mu
	screen  screen

	mu      sync.Mutex
	view    lanes
	pending []string // lines to print for good with the next frame
	partial []byte   // of what was handed to Write
	closed  bool

	stop, stopped chan struct{}
}

// NewTerminal returns a sink that draws on w, a terminal. size is asked before each frame, so that a resized window is
// noticed; 0 for a size that is not known. Close must be called, on an interrupt too: it gives the cursor back.
func NewTerminal(w io.Writer, st Style, size func() (cols, rows int)) *Terminal {
	t := newTerminal(w, st, size, time.Now)
	t.stop, t.stopped = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(t.stopped)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-t.stop:
				return
			case <-tick.C:
				t.frame()
			}
		}
	}()
	return t
}

func newTerminal(w io.Writer, st Style, size func() (cols, rows int), now func() time.Time) *Terminal {
	return &Terminal{st: st, size: size, now: now, screen: screen{w: w}}
}

// Event takes the event into the view, for the next frame. It never waits for the terminal.
func (t *Terminal) Event(e runner.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	st := t.style()
	t.pending = append(t.pending, t.view.event(st, e)...)
	if e.Type == runner.RunEnded && e.Summary != nil {
		var b strings.Builder
		Summary(&b, st, e.Summary)
		t.pending = append(append(t.pending, ""), strings.Split(strings.TrimRight(b.String(), "\n"), "\n")...)
	}
}

// Write prints whole lines above the live view: for a log that shares the terminal.
func (t *Terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return t.screen.w.Write(p)
	}
	t.partial = append(t.partial, p...)
	for {
		line, rest, ok := bytes.Cut(t.partial, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		t.pending = append(t.pending, t.style().fit(clean(string(line))))
		t.partial = bytes.Clone(rest)
	}
}

// Close prints what is pending, takes the live view away and gives the cursor back. Twice is fine.
func (t *Terminal) Close() {
	t.mu.Lock()
	wasClosed := t.closed
	t.closed = true
	if len(t.partial) > 0 && !wasClosed {
		t.pending = append(t.pending, t.style().fit(clean(string(t.partial))))
	}
	t.mu.Unlock()
	if wasClosed {
		return
	}
	if t.stop != nil {
		close(t.stop)
		<-t.stopped
	}
	t.frame()
	t.drawing.Lock()
	defer t.drawing.Unlock()
	t.screen.close()
}

// Aside calls do, which has the terminal to itself meanwhile: the live view is taken away, the cursor given back, and what happens
// is shown afterwards.
func (t *Terminal) Aside(do func()) {
	t.frame() // what is pending belongs above
	t.drawing.Lock()
	defer t.drawing.Unlock()
	t.screen.close()
	do()
}

// style is the given style at the terminal's size now.
func (t *Terminal) style() Style {
	st := t.st
	cols, rows := t.size()
	st.Width = cmp.Or(cols, st.Width, 80)
	st.Height = cmp.Or(rows, st.Height, 24)
	return st
}

// frame draws what is to be seen now.
func (t *Terminal) frame() {
	t.drawing.Lock()
	defer t.drawing.Unlock()
	t.mu.Lock()
	st := t.style()
	cols := st.Width
	st.Width = max(cols-1, 1) // a terminal that was written to its last column is in a state of its own
	lines, above := t.view.lines(st, t.now()), t.pending
	t.pending = nil
	t.mu.Unlock()
	if most := max(st.Height-2, 1); len(lines) > most {
		more := st.fit("  " + st.glyphs().dots + " and " + counted(len(lines)-most+1, "more line"))
		lines = append(lines[:most-1:most-1], st.paint(dim, more))
	}
	t.screen.draw(above, lines, cols)
}
