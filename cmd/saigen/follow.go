package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// tail reads the lines that are appended to a file, which need not be there yet.
type tail struct {
	path string
	at   int64
}

// lines are the whole lines since the last call.
func (t *tail) lines() ([][]byte, error) {
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, t.at, 1<<40))
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(data, '\n')
	if end < 0 {
		return nil, nil
	}
	t.at += int64(end) + 1
	return bytes.Split(data[:end], []byte{'\n'}), nil
}

// stream makes of a run's files the events that its own terminal is told, observations among them.
type stream struct {
	folder string
	thaw   func([]byte) (*lab.Lab, error)
	events tail
	trials []*looking // those that have begun and not ended
}

// looking is what is known of a trial under way.
type looking struct {
	variant string
	trial   int
	l       *lab.Lab
	looks   tail
	phases  map[string]runner.Event      // of each arm: the one under way, or the last one
	seen    map[string][]lab.Observation // in the phase under way, by arm and address
}

func newStream(folder string, thaw func([]byte) (*lab.Lab, error)) *stream {
	return &stream{folder: folder, thaw: thaw, events: tail{path: filepath.Join(folder, runner.EventsFile)}}
}

// next are the events since the last call, in the order of their times.
func (s *stream) next() ([]runner.Event, error) {
	lines, err := s.events.lines()
	if err != nil {
		return nil, err
	}
	var out []runner.Event
	for _, line := range lines {
		var e runner.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("cannot read %s: %v", s.events.path, err)
		}
		if e.Type == runner.TrialStarted && e.Folder != "" {
			t := &looking{variant: e.Variant, trial: e.Trial, phases: map[string]runner.Event{}, seen: map[string][]lab.Observation{}}
			t.looks.path = filepath.Join(s.folder, filepath.Base(e.Folder), runner.ObservationsFile)
			s.trials = append(s.trials, t)
		}
		out = append(out, e)
	}
	for _, t := range s.trials {
		looks, err := t.next(s.thaw)
		if err != nil {
			return nil, err
		}
		out = append(out, looks...)
	}
	slices.SortStableFunc(out, func(a, b runner.Event) int { return a.At.Compare(b.At) })
	for i := range out {
		s.take(&out[i])
	}
	return out, nil
}

// take notes what an event changes, and says of an observation whether its assertion holds.
func (s *stream) take(e *runner.Event) {
	i := slices.IndexFunc(s.trials, func(t *looking) bool { return t.variant == e.Variant && t.trial == e.Trial })
	if i < 0 {
		return
	}
	t := s.trials[i]
	switch e.Type {
	case runner.TrialEnded:
		s.trials = slices.Delete(s.trials, i, i+1)
	case runner.PhaseStarted:
		t.phases[e.Arm] = *e
		for _, a := range t.assertions() {
			delete(t.seen, e.Arm+" "+a.Address())
		}
	case runner.Observed:
		for _, a := range t.assertions() {
			if a.Address() != e.Subject {
				continue
			}
			key := e.Arm + " " + e.Subject
			if runner.Uncounted(*e.Observation) == "" {
				t.seen[key] = append(t.seen[key], *e.Observation)
			}
			e.Holds = len(t.seen[key]) > 0 && a.Do.Holds(t.seen[key])
		}
	}
}

func (t *looking) assertions() []lab.Assertion {
	if t.l == nil {
		return nil
	}
	return slices.Concat(t.l.Symptoms, t.l.Invariants)
}

// next are the observations since the last call: of those that are there already, the last of each assertion in each phase.
func (t *looking) next(thaw func([]byte) (*lab.Lab, error)) ([]runner.Event, error) {
	lines, err := t.looks.lines()
	if err != nil || len(lines) == 0 {
		return nil, err
	}
	if t.l == nil { // it is written before the first observation
		data, err := os.ReadFile(filepath.Join(filepath.Dir(t.looks.path), runner.LabFile))
		if err != nil {
			return nil, err
		}
		if t.l, err = thaw(data); err != nil {
			return nil, err
		}
	}
	var out []runner.Event
	for _, line := range lines {
		var o runner.StoredObservation
		if err := json.Unmarshal(line, &o); err != nil {
			return nil, fmt.Errorf("cannot read %s: %v", t.looks.path, err)
		}
		out = append(out, runner.Event{
			At: o.At.Add(o.Took), Type: runner.Observed, Variant: t.variant, Trial: t.trial, Arm: o.Arm, Phase: o.Phase, Subject: o.Address, Observation: &o.Observation,
		})
	}
	return out, nil
}
