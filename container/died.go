package container

import (
	"context"
	"errors"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// diedTime is how long it may take until that shows of which the agent's connection broke.
const diedTime = time.Second

// explain says what has died, when the connection to the agent was lost.
func (v *machine) explain(err error) error {
	if !errors.Is(err, guest.ErrLost) {
		return err
	}
	v.looked.Do(func() { v.died, v.last = v.whatDied() })
	return &lab.InfraError{What: v.died, Tail: v.last, Err: err}
}

// whatDied looks at all that the agent stands on, and has the last lines of what died.
func (v *machine) whatDied() (what, tail string) {
	ctx, cancel := context.WithTimeout(context.Background(), diedTime) // the caller's may end for this very reason
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for answered := false; ; {
		is, err := v.api.ContainerInspect(ctx, v.name, client.ContainerInspectOptions{})
		switch {
		case v.engine.gone(0):
			return v.engine.obituary()
		case cerrdefs.IsNotFound(err):
			return string(v.ref) + " has stopped: its container is gone", ""
		case err == nil && is.Container.State != nil && !is.Container.State.Running:
			tail, _ := v.Console(ctx) // it would only be of help
			return string(v.ref) + " has stopped: its init has ended", tail
		}
		answered = answered || err == nil
		select {
		case <-tick.C:
		case <-v.engine.ended:
			return v.engine.obituary()
		case <-ctx.Done():
			if !answered {
				return "the container engine does not answer any more", tailOf(v.engine.log)
			}
			return "saigen's agent in " + string(v.ref) + " has ended, and the machine goes on", ""
		}
	}
}

// gone says whether saigen's own engine has ended, or does so within a time.
func (e *engine) gone(within time.Duration) bool {
	if e.ended == nil {
		return false
	}
	select {
	case <-e.ended:
		return true
	default:
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-e.ended:
		return true
	case <-timer.C:
		return false
	}
}

// obituary is what there is to say of an engine that has ended.
func (e *engine) obituary() (what, tail string) {
	return "the container engine has ended", tailOf(e.log)
}
