package guest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// logTails reads the log files of containers whose log driver is k8s-file. podman removes the file with the container,
// so a file that was seen once stays open and what was read is kept: the log of a removed container is there from the
// first look at it on. Of a container that comes and goes between two looks nothing is seen.
type logTails struct {
	mu      sync.Mutex
	tails   map[string]*logTail        // by path, which holds the container's id
	without map[string]map[string]bool // by logKey: the paths of containers that were there and had no log file
	journal map[string]bool            // by logKey: whether the journal has lines of them; no entry: it was not asked yet
}

func logKey(account, container string) string { return account + "/" + container }

// mayBeInJournal says whether the journal has to be asked: once, and then where it had something or where a container was
// seen that has no log file. To ask is to start a process, which a machine may have no room for.
func (t *logTails) mayBeInJournal(account, container string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := logKey(account, container)
	has, asked := t.journal[key]
	return has || !asked || len(t.without[key]) > 0
}

// inJournal notes what the journal has answered.
func (t *logTails) inJournal(account, container string, has bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := logKey(account, container)
	t.journal[key] = t.journal[key] || has
}

type logTail struct {
	account, container string
	f                  *os.File
	rest               []byte // of the file: a line that is not whole yet
	open               lab.LogLine
	begun              bool // open is the beginning of a line that conmon wrote in parts
	lines              []lab.LogLine
}

// keepLines is how many lines of one container are kept.
const keepLines = 100_000

func newLogTails() *logTails {
	return &logTails{tails: map[string]*logTail{}, without: map[string]map[string]bool{}, journal: map[string]bool{}}
}

func (t *logTails) read(account, container string, since time.Time) ([]lab.LogLine, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.discover(account, container); err != nil {
		return nil, err
	}
	var out []lab.LogLine
	for _, tail := range t.tails {
		if tail.account != account || tail.container != container {
			continue
		}
		if err := tail.follow(); err != nil {
			return nil, err
		}
		for _, l := range tail.lines {
			if !l.At.Before(since) {
				out = append(out, l)
			}
		}
	}
	return out, nil
}

// discover opens the log files of containers that have not been seen.
func (t *logTails) discover(account, container string) error {
	folders, err := foldersOf(account)
	if err != nil {
		return err
	}
	for _, driver := range storageDrivers {
		base := filepath.Join(folders.graph, driver+"-containers")
		entries, err := readStored(filepath.Join(base, "containers.json"))
		if err != nil {
			return err
		}
		for _, e := range entries {
			path := filepath.Join(base, e.ID, "userdata/ctr.log")
			if len(e.Names) == 0 || e.Names[0] != container || t.tails[path] != nil {
				continue
			}
			f, err := os.Open(path)
			key := logKey(account, container)
			if errors.Is(err, os.ErrNotExist) { // its driver is another one, or it was not started yet
				if t.without[key] == nil {
					t.without[key] = map[string]bool{}
				}
				t.without[key][path] = true
				continue
			}
			if err != nil {
				return err
			}
			delete(t.without[key], path)
			t.tails[path] = &logTail{account: account, container: container, f: f}
		}
	}
	return nil
}

const (
	mostAdded = 64 << 20 // bytes of a log that one look reads; who writes more than that is not followed
	mostText  = 1 << 20  // bytes that are kept of a line
)

// follow reads what has been added.
func (l *logTail) follow() error {
	added, err := io.ReadAll(io.LimitReader(l.f, mostAdded))
	if err != nil {
		return err
	}
	l.take(added)
	if len(added) == mostAdded {
		return fmt.Errorf("it has grown by more than %d MiB since the look before", mostAdded>>20)
	}
	return nil
}

// take reads the lines that end in what has been added.
func (l *logTail) take(added []byte) {
	l.rest = append(l.rest, added...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return
		}
		l.rest = rest
		l.add(string(line))
	}
}

// add takes one line of the file: time, stream, F for a whole line or P for a part of one, text.
func (l *logTail) add(line string) {
	f := strings.SplitN(line, " ", 4)
	if len(f) < 3 {
		return
	}
	at, err := time.Parse(time.RFC3339Nano, f[0])
	if err != nil {
		return
	}
	if !l.begun {
		l.open = lab.LogLine{At: at}
	}
	if len(f) == 4 {
		l.open.Text += f[3][:min(len(f[3]), mostText-len(l.open.Text))]
	}
	l.begun = f[2] == "P"
	if l.begun {
		return
	}
	l.lines = append(l.lines, l.open)
	if extra := len(l.lines) - keepLines; extra > 0 {
		l.lines = l.lines[extra:]
	}
}
