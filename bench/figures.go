package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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

// merge adds what was measured now to what a file holds of the same host, line by line. Another host's lines, and those of
// other versions of what is measured, stand beside nothing that is measured now: they go.
func (f *figures) merge(path string) error {
	old, err := loadFigures(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f.save(path)
	}
	if err != nil {
		return err
	}
	if f.Machine.KVM == notAsked {
		f.Machine.KVM = old.Machine.KVM
	}
	if old.Machine.KVM == notAsked {
		old.Machine.KVM = f.Machine.KVM
	}
	if old.Machine == f.Machine {
		for name, m := range old.Lines {
			if f.Lines[name] == nil {
				f.Lines[name] = m
			}
		}
	}
	return f.save(path)
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
			return "**not met**"
		}
	}
	return "met"
}
