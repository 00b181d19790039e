package runner

import (
	"context"
	"slices"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// clock is what phases are timed by: it shows the host's time when the trial starts, and goes on steadily, whatever anybody does to the
// calendar's clock meanwhile. Its times have no monotonic part, so that stored times give the same differences.
type clock struct {
	start    time.Time
	calendar func() time.Time
}

func newClock(calendar func() time.Time) clock {
	if calendar == nil {
		calendar = time.Now
	}
	return clock{time.Now(), calendar}
}

func (c clock) now() time.Time { return c.start.Round(0).Add(time.Since(c.start)) }

// set is by how much the host's clock has been set since the trial started, or for how long the host slept.
func (c clock) set() time.Duration {
	return c.calendar().Round(0).Sub(c.now()).Round(time.Millisecond)
}

// clockTries is how often a clock is read to find its offset: the answer that came fastest is the most exact one.
const clockTries = 3

// offset measures a machine's clock minus the trial's. What is smaller than the error of the measurement is 0, so that nothing is
// corrected where both have the same clock, as containers do.
func (c clock) offset(ctx context.Context, m lab.Running) (time.Duration, error) {
	var best time.Duration
	fastest := time.Duration(-1)
	for range clockTries {
		began := time.Now()
		off, err := m.Clock(ctx)
		if err != nil {
			return 0, infra(err, "cannot read the clock of "+string(m.Ref()))
		}
		if took := time.Since(began); fastest < 0 || took < fastest {
			best, fastest = off+c.set(), took // it is measured against the calendar's
		}
	}
	if best.Abs() <= fastest/2 {
		return 0, nil
	}
	return best, nil
}

// setClocks notes how far every machine's clock is from the host's. No look may have been heard of yet.
func (a *arm) setClocks(ctx context.Context) error {
	a.clocks = nil
	for _, m := range a.machines {
		off, err := a.offset(ctx, m)
		if err != nil {
			return err
		}
		a.clocks = append(a.clocks, Clock{Machine: m.Ref(), Offset: off})
	}
	return nil
}

// compareClocks notes by how much every machine's clock has slipped against the host's since the baseline. No look may
// be under way.
func (a *arm) compareClocks(ctx context.Context) error {
	for i := range a.clocks {
		m, err := a.machine(a.clocks[i].Machine)
		if err != nil {
			return err
		}
		off, err := a.offset(ctx, m)
		if err != nil {
			return err
		}
		if slip := off - a.clocks[i].Offset; slip.Abs() > a.clocks[i].Slip.Abs() {
			a.clocks[i].Slip = slip
		}
	}
	return nil
}

// hostTime is when a look began by the host's clock. An offset is not exact and a clock may drift, but a look that has just been
// heard of cannot have begun later than it took before now.
func (a *arm) hostTime(ref lab.MachineRef, o lab.Observation) time.Time {
	at := o.At.Round(0)
	if i := slices.IndexFunc(a.clocks, func(c Clock) bool { return c.Machine == ref }); i >= 0 {
		at = at.Add(-a.clocks[i].Offset)
	}
	if latest := a.now().Add(-o.Took); latest.Before(at) {
		return latest
	}
	return at
}

// stepped notes that somebody has set a machine's clock while it was watched, perhaps to set it right again before the end.
func (a *arm) stepped(ref lab.MachineRef, by time.Duration) {
	for i, c := range a.clocks {
		if c.Machine == ref && by.Abs() > c.Slip.Abs() {
			a.clocks[i].Slip = by
		}
	}
}
