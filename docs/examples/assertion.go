package examples

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Memory looks at how much memory the machine has left for programs. It holds when the newest look is in the limit.
//
// Values: available, in bytes.
type Memory struct {
	// The machine to look at.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// How much there must be, as "under 100MiB".
	Available lab.Limit `hcl:"available" json:"available"`
}

// Observe implements lab.Observer.
func (*Memory) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	cmd := lab.Command{Argv: []string{"cat", "/proc/meminfo"}}
	r, err := at.Run(ctx, cmd)
	if err == nil {
		err = r.Err(cmd)
	}
	if err != nil {
		return lab.Observation{}, err
	}
	for line := range strings.Lines(string(r.Stdout)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "MemAvailable: %f kB", &kib); err == nil {
			return lab.Observation{
				Values:  map[string]float64{"available": kib * 1024},
				Summary: fmt.Sprintf("%.0f MiB available", kib/1024),
			}, nil
		}
	}
	return lab.Observation{}, fmt.Errorf("cannot find MemAvailable in /proc/meminfo")
}

// Holds implements lab.Observer.
func (m *Memory) Holds(history []lab.Observation) bool {
	return m.Available.Holds(history[len(history)-1].Values["available"])
}

// Check implements lab.Checker.
func (m *Memory) Check() []lab.Problem {
	if m.Available == "" || m.Available.Check() != nil { // complained about where the types are known
		return nil
	}
	if low, high := m.Available.Interval(); low > 0 || !math.IsInf(high, 1) || !m.Available.Holds(0) {
		return nil
	}
	return []lab.Problem{{Attr: "available", Summary: "every amount is in the limit",
		Detail: "There is never less than nothing, so this always holds and proves nothing. Write a limit that can be missed, such as \"under 100MiB\"."}}
}

// Limits implements lab.Limiter.
func (*Memory) Limits() []string { return []string{"available"} }

// Numbers implements lab.Numbered.
func (*Memory) Numbers() []string { return []string{"available"} }
