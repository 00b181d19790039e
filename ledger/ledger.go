package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
)

// The files of a run's ledger, inside the folder that Open got.
const (
	fileName = "ledger.jsonl"
	lockName = "ledger.lock"
)

// UndoTime is the deadline of one Undo, whatever the caller's context says.
const UndoTime = 60 * time.Second

// Entry says how to undo one thing. It is written before the thing is made, so undoing must accept that it is not there.
type Entry struct {
	Kind string `json:"kind"`
	// Path is the thing's name: an absolute path for KindDirectory, the name below the root of the host's cgroup v2
	// hierarchy for KindCgroup, what an Undoer understands for every other kind.
	Path string `json:"path,omitempty"`
	// Host is where an engine that is not saigen's own is reached: "unix:///run/docker.sock".
	Host string `json:"host,omitempty"`
}

// The kinds that this package undoes itself.
const (
	KindCgroup    = "cgroup"    // every process in it is killed, then the folders are removed
	KindDirectory = "directory" // removed with what is in it; refused when something is mounted there
)

// Undoer undoes entries of one kind. It returns nil when the thing is gone, also when it was never made.
type Undoer func(ctx context.Context, e Entry) error

// line is one line of the file: an entry, or a mark.
type line struct {
	Entry
	Run  lab.RunID `json:"run,omitempty"`  // first line
	Kept bool      `json:"kept,omitempty"` // a mark: the run outlives its process
}

// Ledger is the ledger of one run. Its methods may be called from several goroutines.
type Ledger struct {
	run     lab.RunID
	dir     string
	undoers map[string]Undoer

	mu      sync.Mutex
	file    *os.File
	lock    *os.File
	size    int64 // of file: what is behind it was not written whole
	entries []Entry
	kept    bool
	damaged []int // lines that could not be read
}

// Option changes how a ledger undoes.
type Option func(*Ledger)

// With adds a way to undo one more kind.
func With(kind string, undo Undoer) Option { return func(l *Ledger) { l.undoers[kind] = undo } }

// Open creates the ledger of a run in dir, which must exist, or continues the one that is there. A lock is held as long
// as this process lives; Open fails when another process holds it.
func Open(dir string, run lab.RunID, options ...Option) (*Ledger, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open ledger: %w", err)
	}
	if err := unix.FcntlFlock(lock.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			err = ErrOwned
		}
		return nil, fmt.Errorf("cannot lock ledger of run %s: %w", run, err)
	}
	l := &Ledger{run: run, dir: dir, lock: lock, undoers: map[string]Undoer{
		KindCgroup:    undoCgroup,
		KindDirectory: undoDirectory,
	}}
	for _, o := range options {
		o(l)
	}
	if err := l.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

// ErrOwned says that another living process owns the run.
var ErrOwned = errors.New("another process owns the run")

// load reads what the file has, drops a torn last line, and opens the file for appending.
func (l *Ledger) load() error {
	name := filepath.Join(l.dir, fileName)
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read ledger: %w", err)
	}
	was := parse(data)
	if was.run != "" {
		l.run = was.run
	}
	l.entries, l.kept, l.damaged, l.size = was.entries, was.kept, was.damaged, int64(was.whole)
	if l.file, err = os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return fmt.Errorf("cannot open ledger: %w", err)
	}
	if err := l.file.Truncate(l.size); err != nil {
		return fmt.Errorf("cannot repair ledger: %w", err)
	}
	if l.size == 0 {
		if err := l.append(line{Run: l.run}); err != nil {
			return err
		}
		return errors.Join(syncDir(l.dir), syncDir(filepath.Dir(l.dir))) // the run's folder may be new, too
	}
	return nil
}

// parsed is what a ledger's file says.
type parsed struct {
	run     lab.RunID
	entries []Entry
	kept    bool
	whole   int   // length of the part that was written whole, in bytes
	damaged []int // lines that cannot be read, from 1
}

// parse reads the lines of a ledger. A process can be killed in the middle of a line: then the thing of that line was not
// made. Any other line that cannot be read is a damage, and no reason to leave what the others name.
func parse(data []byte) (p parsed) {
	for n := 1; ; n++ {
		end := bytes.IndexByte(data[p.whole:], '\n')
		if end < 0 {
			return p
		}
		var ln line
		err := json.Unmarshal(data[p.whole:p.whole+end], &ln)
		p.whole += end + 1
		switch {
		case err != nil:
			p.damaged = append(p.damaged, n)
		case ln.Run != "":
			p.run = ln.Run
		case ln.Kept:
			p.kept = true
		case ln.Kind != "":
			p.entries = append(p.entries, ln.Entry)
		}
	}
}

// Run is the run whose ledger it is.
func (l *Ledger) Run() lab.RunID { return l.run }

// Record writes how to undo something. It returns when that is on the disk; make the thing after it.
func (l *Ledger) Record(e Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.undoers[e.Kind] == nil {
		return fmt.Errorf("cannot record %s %q: nothing here knows how to undo it", e.Kind, e.Path)
	}
	if err := l.append(line{Entry: e}); err != nil {
		return err
	}
	l.entries = append(l.entries, e)
	return nil
}

// Keep says that the run is meant to outlive this process: Dead does not list it, until it is undone.
func (l *Ledger) Keep() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.append(line{Kept: true}); err != nil {
		return err
	}
	l.kept = true
	return nil
}

// Kept says whether Keep was called, by this process or an earlier one.
func (l *Ledger) Kept() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept
}

func (l *Ledger) append(ln line) error {
	data, err := json.Marshal(ln)
	if err != nil {
		return fmt.Errorf("cannot write ledger: %w", err)
	}
	data = append(data, '\n')
	if _, err = l.file.Write(data); err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		// On a full disk half a line may have been written, and the next one must not stand behind it.
		return errors.Join(fmt.Errorf("cannot write ledger: %w", err), l.file.Truncate(l.size))
	}
	l.size += int64(len(data))
	return nil
}

// Undo undoes everything, the last first, and verifies that it is gone. What could not be undone stays in the ledger,
// and Undo goes on with the rest. It ignores the cancellation of ctx and has a deadline of its own, UndoTime.
func (l *Ledger) Undo(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), UndoTime)
	defer cancel()
	var errs []error
	var left []Entry
	for i := len(l.entries) - 1; i >= 0; i-- {
		e := l.entries[i]
		undo := l.undoers[e.Kind]
		if undo == nil {
			errs = append(errs, fmt.Errorf("cannot undo %s %q: nothing here knows how", e.Kind, e.Path))
			left = append([]Entry{e}, left...)
			continue
		}
		if err := undo(ctx, e); err != nil {
			errs = append(errs, fmt.Errorf("cannot undo %s %q: %w", e.Kind, e.Path, err))
			left = append([]Entry{e}, left...)
		}
	}
	for _, n := range l.damaged {
		errs = append(errs, fmt.Errorf("cannot read line %d of the ledger of run %s: what it named is not undone", n, l.run))
	}
	l.entries, l.damaged = left, nil
	if err := l.rewrite(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// rewrite replaces the file by what is left. An undone run is not kept any more.
func (l *Ledger) rewrite() error {
	name := filepath.Join(l.dir, fileName)
	if _, err := os.Lstat(l.dir); errors.Is(err, fs.ErrNotExist) {
		return nil // the ledger's own folder was among what was undone
	}
	if done, err := l.shorten(); done || err != nil {
		return err
	}
	var b bytes.Buffer
	lines := []line{{Run: l.run}}
	for _, e := range l.entries {
		lines = append(lines, line{Entry: e})
	}
	for _, ln := range lines {
		data, err := json.Marshal(ln)
		if err != nil {
			return fmt.Errorf("cannot write ledger: %w", err)
		}
		b.Write(append(data, '\n'))
	}
	err := writeSynced(name+".new", b.Bytes()) // else a power cut after the renaming could leave an empty ledger
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		_ = os.Remove(name + ".new")
		return fmt.Errorf("cannot write ledger: %w", err)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open ledger: %w", err)
	}
	_ = l.file.Close()
	l.file, l.size, l.kept = file, int64(b.Len()), false
	return syncDir(l.dir)
}

// shorten leaves only the line that names the run, when nothing else is left: that takes no room on a disk that is full. It says whether
// it has; it has not when the file begins in another way.
func (l *Ledger) shorten() (bool, error) {
	head, err := json.Marshal(line{Run: l.run})
	if len(l.entries) > 0 || err != nil {
		return false, err
	}
	head = append(head, '\n')
	is, err := os.ReadFile(filepath.Join(l.dir, fileName))
	if err != nil || !bytes.HasPrefix(is, head) {
		return false, nil
	}
	if err := errors.Join(l.file.Truncate(int64(len(head))), l.file.Sync()); err != nil {
		return false, fmt.Errorf("cannot write ledger: %w", err)
	}
	l.size, l.kept = int64(len(head)), false
	return true, nil
}

// Close gives up the run. Entries that were not undone stay in the file: an unkept run is then dead.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.file.Close(), l.lock.Close())
}

// writeSynced writes a file, and returns when that is on the disk.
func writeSynced(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot sync %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("cannot sync %s: %w", dir, err)
	}
	return nil
}
