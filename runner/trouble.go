package runner

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// troubleEvery is the pace at which the containers of every stack are looked at while the readiness probes are waited for.
const troubleEvery = time.Second

// firstReady waits for every readiness probe of stacks that were just brought up. When one cannot pass, because a container
// does not run and nothing starts it again, it does not wait for the rest of the probe's time; and whatever it could not wait
// for, the error begins with the service that is the cause.
//
// After a remedy nothing of this is done: the remedy may start a container later, and asking podman could repair what the
// next remedy is to find.
func (a *arm) firstReady(ctx context.Context) error {
	waiting, stop := context.WithCancelCause(ctx)
	var watchers sync.WaitGroup
	for _, s := range a.l.Stacks {
		m, err := a.machine(s.Machine)
		if err != nil {
			stop(nil)
			return err
		}
		for _, p := range a.r.Composer.Ready(s) {
			probe := a.probe(p)
			probe.Every = troubleEvery
			watchers.Go(func() {
				// When the machine is lost, the probe that is waited for says so.
				_ = m.Watch(waiting, probe, func(o lab.Observation) {
					if o.Err != "" || p.Do.Holds([]lab.Observation{o}) || waiting.Err() != nil {
						return
					}
					if trouble, final := a.r.Composer.Trouble(waiting, m, s); final && trouble != nil {
						stop(trouble)
					}
				})
			})
		}
	}
	unready, err := a.ready(waiting, math.MaxInt64)
	stop(nil)
	watchers.Wait()
	trouble := (*lab.InfraError)(nil)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && unready == nil:
		return nil
	case errors.As(context.Cause(waiting), &trouble):
		return trouble
	case err != nil:
		return err
	}
	return a.cause(ctx, unready)
}

// cause puts what keeps a stack from running before the readiness probe that never passed.
func (a *arm) cause(ctx context.Context, unready *lab.InfraError) error {
	for _, s := range a.l.Stacks {
		m, err := a.machine(s.Machine)
		if err != nil {
			return err
		}
		if trouble, _ := a.r.Composer.Trouble(ctx, m, s); trouble != nil {
			trouble.What += "; " + unready.What
			return trouble
		}
	}
	return unready
}
