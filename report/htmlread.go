package report

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// The files of a run's folder that runner does not write; docs/run-folder.md describes them.
const (
	runFile  = "run.json"
	lockFile = "lab.lock.json" // what went into the images of this very run
)

// storedRun is what a run's folder tells of it. Only run.json must be there: a run that was killed is a run too.
type storedRun struct {
	ID      lab.RunID `json:"id"`
	Lab     string    `json:"lab"`
	Path    string    `json:"path"`
	From    string    `json:"from"` // where the lab was fetched from, with its sum; empty: it was a folder of the host
	Driver  string    `json:"driver"`
	Why     string    `json:"driver_why"` // saigen chose it; empty: it was asked for
	Saigen  string    `json:"saigen"`
	Started time.Time `json:"started"`
	Host    struct {
		System string `json:"system"`
		Kernel string `json:"kernel"`
		Arch   string `json:"arch"`
		CPUs   int    `json:"cpus"`
		Memory int64  `json:"memory"` // bytes
	} `json:"host"`
	Accounts      []string `json:"accounts"`
	WithoutFaults bool     `json:"without_faults"`

	ended   bool
	took    time.Duration
	leaks   []string
	images  []storedImage
	trials  []*storedTrial
	trouble []string // files that could not be read
}

// storedImage is one image of the run's lab.lock.json.
type storedImage struct {
	Image    string            `json:"image"`
	Debian   string            `json:"debian"`
	Role     string            `json:"role"`
	Arch     string            `json:"arch"`
	Packages map[string]string `json:"packages"`
}

// storedTrial is the folder of one trial.
type storedTrial struct {
	lab     *lab.Lab
	outcome *runner.Outcome
	judged  bool // false: the run ended before; the outcome is made from its events
	looks   map[string]map[string][]lab.Observation
	events  []runner.Event
	story   []byte
	logs    []storedLog
}

type storedLog struct {
	arm, name string // "fault", "server-journal"
	data      []byte
}

// logKept is how much of a log goes into a page, in bytes: its end.
const logKept = 2 << 20

func readRun(folder string, thaw func([]byte) (*lab.Lab, error)) (*storedRun, error) {
	r := &storedRun{}
	data, err := os.ReadFile(filepath.Join(folder, runFile))
	if err != nil {
		return nil, fmt.Errorf("cannot read the run: %v", err)
	}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("cannot read %s: %v", filepath.Join(folder, runFile), err)
	}
	var events []runner.Event
	r.complain(readLines(filepath.Join(folder, runner.EventsFile), &events))
	var s runner.Summary
	if err := readJSON(filepath.Join(folder, runner.SummaryFile), &s); err == nil {
		r.ended, r.took, r.leaks = true, s.Took, s.Leaks
	} else if !errors.Is(err, fs.ErrNotExist) {
		r.complain(err)
	}
	var lock struct {
		Images []storedImage `json:"images"`
	}
	r.complain(readJSON(filepath.Join(folder, lockFile), &lock))
	r.images = lock.Images

	frozen, err := filepath.Glob(filepath.Join(folder, "*", runner.LabFile))
	if err != nil {
		return nil, err
	}
	for _, f := range frozen {
		if t := r.readTrial(filepath.Dir(f), events, thaw); t != nil {
			r.trials = append(r.trials, t)
		}
	}
	slices.SortStableFunc(r.trials, func(a, b *storedTrial) int {
		return cmp.Or(a.outcome.Started.Compare(b.outcome.Started), cmp.Compare(a.outcome.Trial, b.outcome.Trial))
	})
	return r, nil
}

// complain keeps what is wrong with a file that can be missing.
func (r *storedRun) complain(err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.trouble = append(r.trouble, err.Error())
	}
}

func (r *storedRun) readTrial(folder string, events []runner.Event, thaw func([]byte) (*lab.Lab, error)) *storedTrial {
	t := &storedTrial{looks: map[string]map[string][]lab.Observation{}}
	data, err := os.ReadFile(filepath.Join(folder, runner.LabFile))
	if err == nil {
		t.lab, err = thaw(data)
	}
	if err != nil { // by another saigen, with kinds that this one does not know: what was seen can be drawn all the same
		r.complain(fmt.Errorf("%s: %v", runner.LabFile, err))
		t.lab = &lab.Lab{}
		if json.Unmarshal(data, t.lab) != nil {
			return nil
		}
	}
	name := filepath.Base(folder)
	n, _ := strconv.Atoi(name[strings.LastIndexByte(name, ',')+1:])
	for _, e := range events {
		if e.Variant == t.lab.Variant.String() && e.Trial == n {
			t.events = append(t.events, e)
		}
	}
	err = readJSON(filepath.Join(folder, runner.VerdictFile), &t.outcome)
	r.complain(err)
	if t.judged = err == nil && t.outcome != nil; !t.judged {
		t.outcome = unjudged(t.lab, n, t.events, r.Started)
	}
	var looks []runner.StoredObservation
	r.complain(readLines(filepath.Join(folder, runner.ObservationsFile), &looks))
	for _, o := range looks {
		if t.looks[o.Arm] == nil {
			t.looks[o.Arm] = map[string][]lab.Observation{}
		}
		t.looks[o.Arm][o.Address] = append(t.looks[o.Arm][o.Address], o.Observation)
	}
	if t.lab.Story != "" {
		t.story, err = os.ReadFile(filepath.Join(folder, runner.StoryFile))
		r.complain(err)
	}
	t.readLogs(r, filepath.Join(folder, runner.LogsFolder))
	return t
}

// readLogs reads the end of every log; the fault arm's come first, and what remedies printed comes last.
func (t *storedTrial) readLogs(r *storedRun, folder string) {
	files, _ := filepath.Glob(filepath.Join(folder, "*.log")) // the pattern is right
	for _, f := range files {
		data, err := os.ReadFile(f)
		r.complain(err)
		if err != nil {
			continue
		}
		if len(data) > logKept {
			data = append([]byte("… the beginning is in the run's folder …\n"), data[len(data)-logKept:]...)
		}
		arm, name, _ := strings.Cut(strings.TrimSuffix(filepath.Base(f), ".log"), "-")
		t.logs = append(t.logs, storedLog{arm, name, data})
	}
	slices.SortStableFunc(t.logs, func(a, b storedLog) int { return a.rank() - b.rank() })
}

func (l storedLog) rank() int {
	switch {
	case strings.HasPrefix(l.name, "remedy-"):
		return 2
	case l.arm == runner.Fault:
		return 0
	}
	return 1
}

// unjudged makes what there is to say of a trial that has no verdict: where it came to, and what went wrong.
func unjudged(l *lab.Lab, n int, events []runner.Event, started time.Time) *runner.Outcome {
	o := &runner.Outcome{Lab: l.Name, Variant: l.Variant, Trial: n, Expect: l.Expect, Started: started,
		Because: "the run ended before this trial was judged"}
	if len(events) > 0 {
		o.Started = events[0].At
		o.Took = events[len(events)-1].At.Sub(o.Started)
	}
	for _, name := range []string{runner.Fault, runner.Control} {
		a := runner.Arm{Name: name}
		for _, e := range events {
			switch {
			case e.Arm != name:
			case e.Type == runner.PhaseStarted:
				kind, remedy, _ := strings.Cut(e.Phase, " ")
				a.Phases = append(a.Phases, runner.Phase{Kind: runner.PhaseKind(kind), Remedy: remedy, Start: e.At})
			case e.Type == runner.PhaseEnded && len(a.Phases) > 0:
				a.Phases[len(a.Phases)-1].End = e.At
			}
		}
		if len(a.Phases) > 0 {
			o.Arms = append(o.Arms, a)
		}
	}
	for _, e := range events {
		if e.Type == runner.Failed {
			o.Because, o.Hint, o.Tail = e.Text, e.Hint, e.Tail
			break
		}
	}
	return o
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %v", filepath.Base(path), err)
	}
	return nil
}

// readLines reads JSON lines. A last line that a killed saigen did not finish is no mistake.
func readLines[T any](path string, all *[]T) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	in := bufio.NewScanner(bytes.NewReader(data))
	in.Buffer(nil, len(data)+1)
	var wrong error
	for n := 1; in.Scan(); n++ {
		if wrong != nil {
			return wrong
		}
		var v T
		if err := json.Unmarshal(in.Bytes(), &v); err != nil {
			wrong = fmt.Errorf("%s:%d: %v", filepath.Base(path), n, err)
			continue
		}
		*all = append(*all, v)
	}
	if wrong != nil && len(data) > 0 && data[len(data)-1] == '\n' {
		return wrong
	}
	return nil
}
