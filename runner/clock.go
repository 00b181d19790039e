package runner

import (
	"context"
	"slices"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// clockTries is how often a clock is read to find its offset: the answer that came fastest is the most exact one.
const clockTries = 3

// offset measures a machine's clock minus the host's. What is smaller than the error of the measurement is 0, so that nothing is
// corrected where both have the same clock, as containers do.
func offset(ctx context.Context, m lab.Running) (time.Duration, error) {
	var best time.Duration
	fastest := time.Duration(-1)
	for range clockTries {
		began := time.Now()
		off, err := m.Clock(ctx)
		if err != nil {
			return 0, infra(err, "cannot read the clock of "+string(m.Ref()))
		}
		if took := time.Since(began); fastest < 0 || took < fastest {
			best, fastest = off, took
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
		off, err := offset(ctx, m)
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
		off, err := offset(ctx, m)
		if err != nil {
			return err
		}
		a.clocks[i].Slip = off - a.clocks[i].Offset
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
	if latest := now().Add(-o.Took); latest.Before(at) {
		return latest
	}
	return at
}
