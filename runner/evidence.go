package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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

// evidence is the folder of one trial.
type evidence struct {
	folder string

	mu           sync.Mutex // both arms write
	observations *os.File
}

// newEvidence makes the trial's folder and freezes the lab in it: a run whose inputs are not recorded cannot exist.
func newEvidence(run string, l *lab.Lab, trial int) (*evidence, error) {
	folder := filepath.Join(run, trialFolder(l.Variant, trial))
	if err := os.MkdirAll(filepath.Join(folder, LogsFolder), 0o755); err != nil {
		return nil, err
	}
	if err := writeJSON(filepath.Join(folder, LabFile), l); err != nil {
		return nil, err
	}
	if l.Story != "" {
		story, err := readFile(l, l.Story) // a link must not lead out of the lab
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, StoryFile), story, 0o644)
		}
		if err != nil {
			return nil, err
		}
	}
	f, err := os.Create(filepath.Join(folder, ObservationsFile))
	if err != nil {
		return nil, err
	}
	return &evidence{folder: folder, observations: f}, nil
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
	e.mu.Lock()
	defer e.mu.Unlock()
	_, err = e.observations.Write(append(line, '\n'))
	return err
}

func (e *evidence) log(arm, name string, data []byte) error {
	return os.WriteFile(filepath.Join(e.folder, LogsFolder, arm+"-"+name+".log"), data, 0o644)
}

func (e *evidence) verdict(o *Outcome) error {
	return writeJSON(filepath.Join(e.folder, VerdictFile), o)
}

func (e *evidence) close() { _ = e.observations.Close() }

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// log keeps what a machine or a remedy of the arm has printed.
func (a *arm) log(name string, data []byte) error {
	if a.r.Mask != nil {
		data = []byte(a.r.Mask(string(data)))
	}
	return a.ev.log(a.name, name, data)
}

// keepLogs stores every machine's journal, in which podman's container logs are too. A machine that cannot be asked
// any more costs its log, not the arm.
func (a *arm) keepLogs(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	for _, m := range a.machines {
		res, err := m.Run(ctx, lab.Command{Argv: []string{"journalctl", "--boot", "--no-pager", "--output", "short-precise"}})
		if err == nil {
			err = a.log(m.Ref().Name()+"-journal", res.Stdout)
		}
		if err != nil {
			a.emit(Event{Type: Warning, Subject: string(m.Ref()), Text: fmt.Sprintf("cannot keep the journal of %s: %v", m.Ref(), err)})
		}
	}
}
