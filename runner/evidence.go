package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// The names of the files of a trial's folder and of a run's; docs/run-folder.md describes them.
const (
	LabFile          = "lab.json"
	StoryFile        = "story.md"
	ObservationsFile = "observations.jsonl"
	VerdictFile      = "verdict.json"
	AccountsFile     = "accounts.json" // what commands of each account see, where it was asked
	EventsFile       = "events.jsonl"  // of the run
	SummaryFile      = "summary.json"  // of the run
	LogsFolder       = "logs"
)

// StoredObservation is one line of observations.jsonl. Its time is the host's, as the phases' times are; see Clock.
type StoredObservation struct {
	Arm     string `json:"arm"`
	Phase   string `json:"phase"` // in which it arrived; a look is judged in the phase in which it began
	Address string `json:"address"`
	lab.Observation
}

// evidence is the folder of one trial. What could not be written to it is missed: see whole.
type evidence struct {
	folder string

	mu           sync.Mutex // both arms write
	observations *os.File
	size         int64 // of its whole lines
	lost         error // the first that could not be written
}

// newEvidence makes the trial's folder and freezes the lab in it: a run whose inputs are not recorded cannot exist.
func newEvidence(run string, l *lab.Lab, trial int) (*evidence, error) {
	folder := filepath.Join(run, trialFolder(l.Variant, trial))
	if err := os.MkdirAll(filepath.Join(folder, LogsFolder), 0o755); err != nil {
		return nil, err
	}
	e := &evidence{folder: folder}
	if err := e.json(LabFile, l); err != nil {
		return nil, err
	}
	if l.Story != "" {
		story, err := readFile(l, l.Story) // a link must not lead out of the lab
		if err == nil {
			err = e.write(StoryFile, story)
		}
		if err != nil {
			return nil, err
		}
	}
	var err error
	e.observations, err = os.OpenFile(filepath.Join(folder, ObservationsFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o644)
	return e, err
}

// trialFolder is "bookworm,port_taken,1": the chosen values in axis order, and the repetition.
func trialFolder(v lab.Variant, trial int) string {
	var parts []string
	for _, c := range v {
		parts = append(parts, c.Value)
	}
	return strings.Join(append(parts, fmt.Sprint(trial)), ",")
}

func (e *evidence) observation(arm, phase, address string, o lab.Observation) error {
	line, err := json.Marshal(StoredObservation{Arm: arm, Phase: phase, Address: address, Observation: o})
	if err != nil {
		return err
	}
	line = append(line, '\n')
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err = e.observations.Write(line); err != nil {
		// On a full disk half of it may have been written, and the next one must not stand behind it.
		return e.miss(errors.Join(err, e.observations.Truncate(e.size)))
	}
	e.size += int64(len(line))
	return nil
}

// miss notes what could not be written; e.mu is held.
func (e *evidence) miss(err error) error {
	if e.lost == nil {
		e.lost = err
	}
	return err
}

// whole says what is missing of the evidence; nil: it is all there, and on the disk. What it would prove must not be told before.
func (e *evidence) whole() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lost == nil {
		e.lost = e.observations.Sync()
	}
	return e.lost
}

// write writes a file of the folder, whole or not at all.
func (e *evidence) write(name string, data []byte) error {
	path := filepath.Join(e.folder, name)
	err := os.WriteFile(path+".new", data, 0o644)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		return nil
	}
	_ = os.Remove(path + ".new")
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.miss(err)
}

func (e *evidence) json(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return e.write(name, append(data, '\n'))
}

func (e *evidence) log(arm, name string, data []byte) error {
	return e.write(filepath.Join(LogsFolder, arm+"-"+name+".log"), data)
}

func (e *evidence) close() { _ = e.observations.Close() }

// log keeps what a machine or a remedy of the arm has printed.
func (a *arm) log(name string, data []byte) error {
	if a.r.Mask != nil {
		data = []byte(a.r.Mask(string(data)))
	}
	return a.ev.log(a.name, name, data)
}

const (
	mostLines = 200_000  // of a journal that are kept, the newest
	mostLog   = 32 << 20 // bytes of that
)

// newest keeps the newest of what a machine prints, however much that is.
type newest struct {
	kept    []byte
	dropped int64
}

func (n *newest) Write(p []byte) (int, error) {
	n.kept = append(n.kept, p...)
	if extra := len(n.kept) - mostLog; extra > mostLog { // not at every write
		n.drop(extra)
	}
	return len(p), nil
}

func (n *newest) drop(bytes int) {
	n.kept = append(n.kept[:0], n.kept[bytes:]...)
	n.dropped += int64(bytes)
}

func (n *newest) text() []byte {
	if extra := len(n.kept) - mostLog; extra > 0 {
		n.drop(extra)
	}
	if n.dropped == 0 {
		return n.kept
	}
	return append(fmt.Appendf(nil, "(%d earlier bytes left out)\n", n.dropped), n.kept...)
}

// keepLogs stores every machine's journal, in which podman's container logs are too: the newest of it, where it is large. A machine that cannot be asked
// any more costs its log, not the arm.
func (a *arm) keepLogs(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	for _, m := range a.machines {
		var journal newest
		_, err := m.Run(ctx, lab.Command{Argv: []string{"journalctl", "--boot", "--no-pager", "--output", "short-precise", "--lines", strconv.Itoa(mostLines)}, Stdout: &journal})
		if text := journal.text(); err == nil || len(text) > 0 { // what came before it broke off
			err = errors.Join(err, a.log(m.Ref().Name()+"-journal", text))
		}
		if err != nil {
			a.emit(Event{Type: Warning, Subject: string(m.Ref()), Text: fmt.Sprintf("cannot keep the journal of %s: %v", m.Ref(), err)})
		}
	}
}
