package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
)

// figures are all that was measured on one host: what docs/performance.json holds.
type figures struct {
	Machine machine              `json:"machine"`
	Lines   map[string]*measured `json:"lines"` // by the line's name
	// Seal is the hash of the rest: who writes a figure by hand breaks it.
	Seal string `json:"seal"`
}

// measured are the figures of one line, in seconds or bytes, in the order in which they came, all on one occasion.
type measured struct {
	On     occasion  `json:"on"`
	Saigen []float64 `json:"saigen"`
	Hand   []float64 `json:"hand"`
	// Missing says why there are none, or not all.
	Missing string `json:"missing,omitempty"`
}

func (f *figures) seal() string {
	bare := *f
	bare.Seal = ""
	data, _ := json.Marshal(bare) // numbers and strings, maps sorted by their keys: it cannot fail
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// save writes the figures to a file.
func (f *figures) save(path string) error {
	f.Seal = f.seal()
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// beside returns what was measured now together with what was before on the same host, with the same versions of what is
// measured, line by line. Other figures stand beside nothing that is measured now: they go. A line that could not be
// measured now takes nothing away from what was.
func (f *figures) beside(old *figures) *figures {
	all := &figures{Machine: f.Machine, Lines: maps.Clone(f.Lines)}
	if all.Machine.KVM == notAsked {
		all.Machine.KVM = old.Machine.KVM
	}
	host := old.Machine
	if host.KVM == notAsked {
		host.KVM = all.Machine.KVM
	}
	if host != all.Machine {
		return f
	}
	for name, m := range old.Lines {
		if now := all.Lines[name]; now == nil || now.Missing != "" && m.Missing == "" {
			all.Lines[name] = m
		}
	}
	return all
}

// errSeal says that figures are not as they were measured.
var errSeal = errors.New("a figure was changed after it was measured; run make bench")

func loadFigures(path string) (*figures, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var f figures
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if f.Seal != f.seal() {
		return nil, fmt.Errorf("cannot use %s: %w", path, errSeal)
	}
	return &f, nil
}

// percentile is by nearest rank; NaN when there are no values.
func percentile(values []float64, part float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(part*float64(len(sorted))))-1)]
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// of is the figure that a budget limits.
func (m *measured) of(what statistic) float64 {
	switch what {
	case p95:
		return percentile(m.Saigen, 0.95)
	case most:
		return percentile(m.Saigen, 1)
	case ratio:
		return median(m.Saigen) / median(m.Hand)
	}
	return median(m.Saigen)
}

// notMet is the outcome of a line that is over one of its budgets.
const notMet = "**not met**"

// outcome is what the table says of a line's budgets.
func (m *measured) outcome(budgets []budget) string {
	if len(budgets) == 0 {
		return "–"
	}
	for _, b := range budgets {
		switch got := m.of(b.of); {
		case math.IsNaN(got):
			return "not measured"
		case got > b.most:
			return notMet
		}
	}
	return "met"
}
