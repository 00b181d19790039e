package runner

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/saigen-lab/saigen/lab"
)

// readyNow is how long a readiness probe of a stack that has had its time may take to pass.
const readyNow = time.Second

// bringUp starts the machines and the stacks, and waits until they are ready.
func (a *arm) bringUp(ctx context.Context) error {
	a.begun = &Begun{}
	lap := laps()
	for _, m := range a.l.Machines {
		a.emit(Event{Type: Step, Subject: "machine." + m.Name, Text: "starting machine " + m.Name + " on driver " + a.r.Driver.Name()})
		run, err := a.r.Driver.Start(ctx, a.id, a.l, m)
		if err != nil {
			return infra(err, "cannot start machine."+m.Name)
		}
		a.machines = append(a.machines, run)
	}
	a.begun.Boot = lap()
	if err := a.stacksUp(ctx); err != nil {
		return err
	}
	a.begun.Stacks = lap()
	if err := a.firstReady(ctx); err != nil {
		return err
	}
	a.begun.Ready = lap()
	return nil
}

// laps returns a stopwatch: each call gives the time since the one before.
func laps() func() time.Duration {
	last := time.Now()
	return func() time.Duration {
		took := time.Since(last)
		last = last.Add(took)
		return took
	}
}

// stacksUp starts the stacks: those of one account in the order as written, those of different accounts side by side, as
// people do who share a machine.
func (a *arm) stacksUp(ctx context.Context) error {
	byAccount := map[string][]lab.Stack{}
	for _, s := range a.l.Stacks {
		who := string(s.Machine) + " " + s.Account
		byAccount[who] = append(byAccount[who], s)
	}
	all, ctx := errgroup.WithContext(ctx)
	for _, stacks := range byAccount {
		all.Go(func() error {
			for _, s := range stacks {
				a.emit(Event{Type: Step, Subject: "stack." + s.Name, Text: "podman-compose up -d as " + s.Account})
				m, err := a.machine(s.Machine)
				if err != nil {
					return err
				}
				if err := a.r.Composer.Up(ctx, m, a.l.Dir, s); err != nil {
					return infra(err, "cannot start stack."+s.Name)
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// ready waits for every readiness probe in turn, each for as long as it says and for most at most. unready says which
// one never passed.
func (a *arm) ready(ctx context.Context, most time.Duration) (unready *lab.InfraError, err error) {
	probes := readiness(a.r.Composer, a.l)
	for i, p := range probes {
		within := min(p.Within.Value(), most)
		a.emit(Event{Type: Step, Subject: p.Address(), Budget: within, Text: fmt.Sprintf("waiting for %s (%d of %d)", p.Address(), i+1, len(probes))})
		m, err := a.machine(p.Machine)
		if err != nil {
			return nil, err
		}
		wait, cancel := context.WithTimeout(ctx, within)
		var history []lab.Observation
		var passed bool
		last := "no observation"
		err = m.Watch(wait, a.probe(p), func(o lab.Observation) {
			if o.Err != "" {
				last = "could not look: " + o.Err
				return
			}
			last = o.Summary
			history = append(history, o)
			if p.Do.Holds(history) {
				passed = true
				cancel()
			}
		})
		cancel()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil && !passed {
			return nil, infra(err, "lost "+string(p.Machine)+" while waiting for "+p.Address())
		}
		if !passed {
			return &lab.InfraError{
				What: fmt.Sprintf("%s did not pass within %s (%s)", p.Address(), within, last),
				Hint: p.Hint,
			}, nil
		}
	}
	return nil, nil
}

// readiness lists the probes of which every one passes when the stacks are ready: those that stacks have by themselves, and
// those that the lab declares.
func readiness(c Composer, l *lab.Lab) []lab.Assertion {
	var probes []lab.Assertion
	for _, s := range l.Stacks {
		probes = append(probes, c.Ready(s)...)
	}
	return append(probes, l.Ready...)
}
