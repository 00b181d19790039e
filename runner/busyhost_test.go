package runner_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
)

// busyHost runs fake machines whose processors, while it is busy, have waited for a second more each time it is asked.
type busyHost struct {
	labtest.Driver
	busy   atomic.Bool  // for the fault arm
	waited atomic.Int64 // seconds
}

type waitingMachine struct {
	lab.Running
	on *busyHost
}

func (d *busyHost) Start(ctx context.Context, run lab.RunID, l *lab.Lab, spec lab.Machine) (lab.Running, error) {
	m, err := d.Driver.Start(ctx, run, l, spec)
	if err != nil || strings.HasSuffix(string(run), "-"+runner.Control) {
		return m, err
	}
	return &waitingMachine{m, d}, nil
}

func (m *waitingMachine) Waited() ([]time.Duration, error) {
	if m.on.busy.Load() {
		m.on.waited.Add(1)
	}
	return []time.Duration{time.Duration(m.on.waited.Load()) * time.Second}, nil
}

// What is seen of a machine that waits for the host all the time is never a symptom, and never a broken invariant.
func TestBusyHost(t *testing.T) {
	driver := &busyHost{}
	l := &lab.Lab{
		Invariants: []lab.Assertion{reading("invariant", "broken", "under 1")},
		Faults:     []lab.Fault{fault(labtest.Switch{Value: "sick", To: 1}), fault(labtest.Switch{Value: "broken", To: 1})},
	}
	sink := &seen{each: func(e runner.Event) {
		if e.Type == runner.PhaseStarted && e.Phase != "baseline" {
			driver.busy.Store(true)
		}
	}}
	o := run(t, context.Background(), driver, l, t.TempDir(), 1, sink).Outcomes[0]
	if o.Verdict != lab.Inconclusive || !strings.Contains(o.Because, "the host was too busy") {
		t.Errorf("got %s (%s)", o.Verdict, o.Because)
	}
	if left := driver.Left(); len(left) > 0 {
		t.Errorf("left alive: %v", left)
	}
}
