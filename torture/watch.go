package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/runner"
)

// ledgerFile is the ledger's; see docs/run-folder.md.
const ledgerFile = "ledger.jsonl"

// watched are the files of a run that show from outside how far it is, by the word that points have for them.
var watched = map[string]string{ledgerFile: "ledger", runner.EventsFile: "events"}

// appearance is one line that has appeared in such a file.
type appearance struct {
	word string // "ledger" or "events"
	n    int    // the first of its kind is 1
	text string // the line, or "rewritten"
	at   time.Time
}

// watcher tells what appears in the runs' folders. Close ends it.
type watcher struct {
	notify *fsnotify.Watcher
	runs   string
	seen   map[string]place // by the file's path
	counts map[string]int   // by word
	lines  chan appearance  // closed when watching has ended
	quit   chan struct{}
	err    error // why it has ended; to be read when lines is closed
}

// place is how far a file has been read.
type place struct {
	inode  uint64
	offset int64
}

// watch begins to tell what appears from now on.
func (h *host) watch() (*watcher, error) {
	if err := os.MkdirAll(h.folder(), 0o755); err != nil {
		return nil, err
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("cannot watch the runs: %w", err)
	}
	w := &watcher{
		notify: notify, runs: h.folder(), seen: map[string]place{}, counts: map[string]int{},
		lines: make(chan appearance), quit: make(chan struct{}),
	}
	if err := notify.Add(w.runs); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot watch the runs: %w", err), notify.Close())
	}
	for run := range h.folders() {
		if err := notify.Add(filepath.Join(w.runs, string(run))); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot watch run %s: %w", run, err), notify.Close())
		}
		for name := range watched { // what is there already has not appeared
			path := filepath.Join(w.runs, string(run), name)
			if data, st, err := readFrom(path, 0); err == nil {
				w.seen[path] = place{st.Ino, int64(bytes.LastIndexByte(data, '\n') + 1)}
			}
		}
	}
	go w.follow()
	return w, nil
}

func (w *watcher) close() {
	close(w.quit)
	for range w.lines { // until follow has ended
	}
	_ = w.notify.Close()
}

func (w *watcher) follow() {
	defer close(w.lines)
	for {
		select {
		case e := <-w.notify.Events:
			if err := w.take(e); err != nil {
				w.err = err
				return
			}
		case err := <-w.notify.Errors:
			w.err = err
			return
		case <-w.quit:
			return
		}
	}
}

// take looks at what an event may have changed.
func (w *watcher) take(e fsnotify.Event) error {
	if filepath.Dir(e.Name) == w.runs {
		if !e.Has(fsnotify.Create) {
			return nil
		}
		if err := w.notify.Add(e.Name); err != nil {
			return ignoreMissing(err)
		}
		for _, name := range []string{ledgerFile, runner.EventsFile} { // they may have been written before they were watched
			if err := w.read(filepath.Join(e.Name, name)); err != nil {
				return err
			}
		}
		return nil
	}
	if watched[filepath.Base(e.Name)] == "" {
		return nil
	}
	return w.read(e.Name)
}

// read tells the lines that a file has more of.
func (w *watcher) read(path string) error {
	was, known := w.seen[path]
	data, st, err := readFrom(path, was.offset)
	if err != nil {
		return ignoreMissing(err)
	}
	if known && (st.Ino != was.inode || st.Size < was.offset) { // undone: a ledger is cut short, or replaced
		if data, st, err = readFrom(path, 0); err != nil {
			return ignoreMissing(err)
		}
		w.seen[path] = place{st.Ino, int64(bytes.LastIndexByte(data, '\n') + 1)}
		w.tell(path, "rewritten")
		return nil
	}
	whole := bytes.LastIndexByte(data, '\n') + 1
	w.seen[path] = place{st.Ino, was.offset + int64(whole)}
	for line := range bytes.Lines(data[:whole]) {
		w.tell(path, strings.TrimSpace(string(line)))
	}
	return nil
}

func (w *watcher) tell(path, text string) {
	word := watched[filepath.Base(path)]
	w.counts[word]++
	select {
	case w.lines <- appearance{word: word, n: w.counts[word], text: text, at: time.Now()}:
	case <-w.quit:
	}
}

func readFrom(path string, offset int64) (data []byte, st unix.Stat_t, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, st, err
	}
	defer f.Close()
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, st, err
	}
	data = make([]byte, max(0, st.Size-offset))
	n, _ := f.ReadAt(data, offset) // it may be cut short meanwhile
	return data[:n], st, nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
