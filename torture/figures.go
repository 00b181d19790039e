package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"
)

// report is what came of each scenario when it was done last: what docs/reliability.json holds.
type report struct {
	Scenarios map[string]*result `json:"scenarios"` // by the scenario's name
	// Seal is the hash of the rest: who writes a figure by hand breaks it.
	Seal string `json:"seal"`
}

// result is what came of one scenario.
type result struct {
	Tallies []*tally `json:"tallies"`
	// Missing says why the scenario was not run, or not to its end.
	Missing string  `json:"missing,omitempty"`
	Took    seconds `json:"took"`
	On      machine `json:"on"`
}

// figures are what a scenario returns: a tally for each thing that it broke, in the order of the page.
type figures []*tally

// seconds is a duration, as the figures have it.
type seconds float64

func inSeconds(d time.Duration) seconds { return seconds(d.Round(time.Millisecond).Seconds()) }

// tally counts what was done to saigen in one way, and what came of it. A tally of which nothing was counted proves nothing: a
// scenario that could do nothing returns an error.
type tally struct {
	What    string  `json:"what"`    // "saigen run, container"
	Points  int     `json:"points"`  // how often something was done to it
	Leaks   int     `json:"leaks"`   // points after which something was left on the host
	Damaged int     `json:"damaged"` // points after which an image, a store or a snapshot was not what it had been
	Wrong   int     `json:"wrong"`   // points at or after which a verdict or an exit code was not the right one
	Slowest seconds `json:"slowest"` // the longest that removing what was left took; 0: nothing had to be removed
	// Outcomes counts what became of saigen where it lived on: "exit code 3, the engine has ended".
	Outcomes map[string]int `json:"outcomes,omitempty"`
	// Failures are a line each: the point, by which it is found again with -at, and what was wrong.
	Failures []string `json:"failures,omitempty"`
}

// fault is what was wrong at a point.
type fault string

const (
	leak    fault = "left"
	damaged fault = "damaged"
	wrong   fault = "wrong"
)

// failed notes what was wrong at a point. One point counts once for each way in which it failed.
func (t *tally) failed(at string, how fault, what ...string) {
	if len(what) == 0 {
		return
	}
	switch how {
	case leak:
		t.Leaks++
	case damaged:
		t.Damaged++
	default:
		t.Wrong++
	}
	t.Failures = append(t.Failures, fmt.Sprintf("%s at %s: %s: %s", t.What, at, how, short(what)))
}

// short is what a line has room for.
func short(what []string) string {
	const most = 4
	if more := len(what) - most; more > 0 {
		what = append(what[:most:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(what, "; ")
}

// took notes how long removing what was left took.
func (t *tally) took(d time.Duration) { t.Slowest = max(t.Slowest, inSeconds(d)) }

// came counts what became of saigen.
func (t *tally) came(outcome string) {
	if t.Outcomes == nil {
		t.Outcomes = map[string]int{}
	}
	t.Outcomes[outcome]++
}

// failures are those of all tallies.
func (f figures) failures() (all []string) {
	for _, t := range f {
		all = append(all, t.Failures...)
	}
	return all
}

func (r *report) seal() string {
	bare := *r
	bare.Seal = ""
	data, _ := json.Marshal(bare) // numbers and strings, maps sorted by their keys: it cannot fail
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// save writes the report to a file.
func (r *report) save(path string) error {
	r.Seal = r.seal()
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// errSeal says that figures are not as they were counted.
var errSeal = errors.New("a figure was changed after it was counted; run make torture")

// with is r with the scenarios of another report in place of its own.
func (r *report) with(other *report) *report {
	both := &report{Scenarios: maps.Clone(r.Scenarios)}
	maps.Copy(both.Scenarios, other.Scenarios)
	return both
}

func loadReport(path string) (*report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if r.Seal != r.seal() {
		return nil, fmt.Errorf("cannot use %s: %w", path, errSeal)
	}
	return &r, nil
}
