package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/term"

	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

// sinks hands every event to several sinks, one event at a time.
type sinks struct {
	mu     sync.Mutex
	all    []runner.Sink
	closer []func()
}

func (s *sinks) add(sink runner.Sink, closer ...func()) {
	s.all = append(s.all, sink)
	s.closer = append(s.closer, closer...)
}

func (s *sinks) Event(e runner.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sink := range s.all {
		sink.Event(e)
	}
}

func (s *sinks) tell(e runner.Event) {
	e.At = time.Now()
	s.Event(e)
}

func (s *sinks) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.closer {
		c()
	}
	s.closer = nil
}

// printer is how a run is shown: JSON lines, a live view on a terminal, plain lines elsewhere.
func (w *world) printer(f runFlags, folder string, on chosenDriver) (runner.Sink, func()) {
	st := w.style(w.stdout)
	st.Up, st.Parallel = upCommandLine(folder, on), f.parallel > 1
	switch {
	case f.quiet:
		st.Level = report.Quiet
	case f.verbose:
		st.Level = report.Verbose
	}
	if f.json {
		return report.NewJSON(w.stdout, st), func() {}
	}
	if out, ok := terminal(w.stdout); ok && !f.quiet && w.env("TERM") != "dumb" {
		t := report.NewTerminal(out, st, func() (cols, rows int) {
			cols, rows, err := term.GetSize(int(out.Fd()))
			if err != nil {
				return 80, 24
			}
			return cols, rows
		})
		return t, t.Close
	}
	return report.NewPlain(w.stdout, st), func() {}
}

func terminal(out io.Writer) (*os.File, bool) {
	f, ok := out.(*os.File)
	return f, ok && isatty.IsTerminal(f.Fd())
}

// style follows no-color.org and the locale.
func (w *world) style(out io.Writer) report.Style {
	var st report.Style
	if f, ok := terminal(out); ok {
		st.Color = w.env("NO_COLOR") == "" && w.env("TERM") != "dumb"
		if cols, _, err := term.GetSize(int(f.Fd())); err == nil {
			st.Width = cols
		}
	}
	locale := w.env("LC_ALL") + w.env("LC_CTYPE") + w.env("LANG")
	utf8 := strings.Contains(strings.ToUpper(strings.ReplaceAll(locale, "-", "")), "UTF8")
	st.ASCII = !utf8 && locale != "" && st.Color
	return st
}

// store writes a run's summary.json, whole or not at all.
func (r *activeRun) store(summary *runner.Summary) error {
	data, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(r.folder, runner.SummaryFile)
	if err = os.WriteFile(path+".new", append(data, '\n'), 0o644); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		_ = os.Remove(path + ".new")
		return fmt.Errorf("cannot store the summary: %w", err)
	}
	return nil
}

// eventsFile is a run's events.jsonl.
type eventsFile struct {
	*report.JSON
	file   *os.File
	closed error
}

func openEvents(path string) (*eventsFile, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("cannot keep the events of the run: %w", err)
	}
	return &eventsFile{JSON: report.NewJSON(f, report.Style{}), file: f}, nil
}

func (e *eventsFile) close() { e.closed = errors.Join(e.file.Sync(), e.file.Close()) }

// Err says why not all events are in the file, as far as is known.
func (e *eventsFile) Err() error {
	if err := cmp.Or(e.JSON.Err(), e.closed); err != nil {
		return fmt.Errorf("cannot keep the events of the run: %w", err)
	}
	return nil
}
