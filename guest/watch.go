package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// watch looks at a probe until ctx ends, and sends every observation.
func (a *agent) watch(ctx context.Context, w *frameWriter, p lab.Probe) error {
	observer, err := a.decode(p)
	if err != nil {
		return fmt.Errorf("cannot watch %s: %w", p.Address, err)
	}
	at := &place{agent: a, stacks: p.Stacks}
	look := func(ctx context.Context) (lab.Observation, error) { return observer.Observe(ctx, at) }
	return observe(ctx, p, &a.resumed, a.pacer, look, func(o lab.Observation) error {
		err := w.writeJSON(frameObservation, o)
		if errors.Is(err, errFrameTooBig) {
			err = w.writeJSON(frameObservation, lab.Observation{At: o.At, Took: o.Took, Late: o.Late, Err: "the observation is larger than 1 MiB"})
		}
		return err
	})
}

// decode makes the kind's struct from the settings; an attribute that it does not have is an error.
func (a *agent) decode(p lab.Probe) (lab.Observer, error) {
	makeKind, ok := a.kinds[p.Kind]
	if !ok {
		return nil, fmt.Errorf("the agent knows no assertion of kind %q", p.Kind)
	}
	o := makeKind()
	if len(p.Settings) == 0 {
		return o, nil
	}
	d := json.NewDecoder(bytes.NewReader(p.Settings))
	d.DisallowUnknownFields()
	if err := d.Decode(o); err != nil {
		return nil, fmt.Errorf("cannot read the settings of a %s: %w", p.Kind, err)
	}
	return o, nil
}

// observe looks at once and then every p.Every from the start of one look to the start of the next, until ctx ends or
// send fails. Looks never overlap: after one that took longer the next begins at once, and the plan goes on from there.
// A look during which the machine went on from a copy of its memory, which resumed counts, says nothing: neither when it
// was nor how long it took.
func observe(ctx context.Context, p lab.Probe, resumed *atomic.Int64, pace *pacer, look func(context.Context) (lab.Observation, error), send func(lab.Observation) error) error {
	if p.Every <= 0 {
		return fmt.Errorf("cannot watch %s: it says to look every %v", p.Address, p.Every)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	seen := resumed.Load()
	clock := since(time.Now())
	for planned := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		due := time.Now()
		if pace.begin(ctx) != nil {
			return nil
		}
		began := time.Now()
		planned = planned.Add(began.Sub(due)) // held back by us, not by the host
		if n := resumed.Load(); n != seen {
			seen, planned = n, began // how long the machine was frozen is no lateness of the host
			clock = since(began)     // which has set the clock
		}
		stop := pulse()
		o := lookOnce(ctx, p.Timeout, look)
		late := stop()
		pace.end()
		if ctx.Err() != nil {
			return nil // cut short by the end of the watch: it says nothing
		}
		if resumed.Load() != seen {
			timer.Reset(0)
			continue
		}
		ended := time.Now()
		o.Took, o.Late = ended.Sub(began), max(0, began.Sub(planned), late)
		o.At, _ = clock.read(began)
		_, o.Stepped = clock.read(ended)
		if err := send(o); err != nil {
			return nil // the host has gone
		}
		// A host that reads slowly delays the next look as a long look does.
		planned = planned.Add(p.Every)
		if now := time.Now(); planned.Before(now) {
			planned = now
		}
		timer.Reset(time.Until(planned))
	}
}

// lookOnce turns whatever goes wrong in a look into an observation that could not look.
func lookOnce(ctx context.Context, timeout time.Duration, look func(context.Context) (lab.Observation, error)) (o lab.Observation) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	defer func() {
		if p := recover(); p != nil {
			o = lab.Observation{Err: fmt.Sprintf("the assertion panicked: %v\n%s", p, debug.Stack())}
		}
	}()
	o, err := look(ctx)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
			err = fmt.Errorf("no answer in %v: %w", timeout, err)
		}
		return lab.Observation{Err: err.Error()}
	}
	return o
}

// steady is a clock that shows the calendar's time when it is made, and then goes on by the monotonic one: nobody can set it.
type steady struct{ start time.Time }

func since(now time.Time) steady { return steady{now} }

// read returns the steady time at a time that time.Now has returned, and by how much the calendar's is ahead of it: by how much that
// has been set. The two are not read at one instant, so that what is less than a millisecond is nothing.
func (s steady) read(now time.Time) (at time.Time, stepped time.Duration) {
	return s.readAs(now.Round(0), now.Sub(s.start))
}

// readAs is read, with what the calendar says and the time that has passed apart.
func (s steady) readAs(calendar time.Time, passed time.Duration) (at time.Time, stepped time.Duration) {
	at = s.start.Round(0).Add(passed)
	if stepped = calendar.Sub(at); stepped.Abs() < time.Millisecond {
		stepped = 0
	}
	return at, stepped
}
