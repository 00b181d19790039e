package runner

import (
	"context"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// waitsEvery is how often it is noted for how long the processors of a machine have waited for the host's.
const waitsEvery = 50 * time.Millisecond

// waitsKept is how far back a look may begin. The longest that a kind allows is of this order.
const waitsKept = 10 * time.Minute

// waits is for how long the processors of one machine have waited for the host's: a page of an emulated machine is slow when
// the host has other work, and nothing in the machine can tell.
type waits struct {
	of  lab.Waiter
	now func() time.Time // the arm's

	mu    sync.Mutex
	notes []note // the oldest first
}

type note struct {
	at     time.Time
	waited []time.Duration // by processor, in all
}

// countWaits notes the waits of every machine that has them, until the watch ends.
func (a *arm) countWaits() {
	a.waits = map[lab.MachineRef]*waits{}
	for _, m := range a.machines {
		if w, ok := m.(lab.Waiter); ok {
			waits := &waits{of: w, now: a.now}
			waits.note()
			a.waits[m.Ref()] = waits
			a.watchers.Go(func() { waits.run(a.watch) })
		}
	}
}

func (w *waits) run(ctx context.Context) {
	tick := time.NewTicker(waitsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.note()
		}
	}
}

// note notes how it stands. Where it cannot be looked at, because the machine is going away say, nothing is noted.
func (w *waits) note() {
	waited, err := w.of.Waited()
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.now()
	w.notes = append(w.notes, note{at, waited})
	if len(w.notes) > 1 && w.notes[1].at.Before(at.Add(-waitsKept)) {
		w.notes = w.notes[1:]
	}
}

// during is for how long a processor was kept waiting while a look went on, where that is a part of what the look took
// that matters; otherwise 0. nil knows of no waiting.
func (w *waits) during(o lab.Observation) time.Duration {
	if w == nil {
		return 0
	}
	w.note()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.notes) == 0 {
		return 0
	}
	first, last := w.notes[0], w.notes[len(w.notes)-1]
	end := o.At.Add(o.Took)
	for _, n := range w.notes {
		if !n.at.After(o.At) {
			first = n
		}
		if !n.at.Before(end) {
			last = n
			break
		}
	}
	var most time.Duration
	for i := range min(len(first.waited), len(last.waited)) {
		most = max(most, last.waited[i]-first.waited[i])
	}
	if most < o.Took/waitsMatter {
		return 0
	}
	return most
}

// waitsMatter is which part of what a look took the machine may have waited for: a tenth makes no page slow that was not.
const waitsMatter = 10
