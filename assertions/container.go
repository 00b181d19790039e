package assertions

import (
	"context"
	"fmt"

	"github.com/saigen-lab/saigen/lab"
)

// The states that the assertion container knows.
const (
	StateRunning = "running"
	StateExited  = "exited"
	StateAbsent  = "absent"
)

// Container looks whether a podman container of a stack's account runs. It is read from podman's files and from the
// kernel, so that looking starts no podman, which could repair what is being watched.
//
// It holds when the container is in the given state on the newest look. There are three states only: one that was
// created and never started counts as exited, one that is paused counts as running. Exit codes, health and the number
// of restarts cannot be seen from here; see the assertions log and command for them.
//
// Values: found (containers of that name), running.
type Container struct {
	// The stack of the container.
	Stack lab.StackRef `hcl:"stack" json:"stack"`
	// The service that it belongs to. Either this or name.
	Service lab.ServiceName `hcl:"service,optional" json:"service,omitempty"`
	// The container's name, for one that belongs to no service.
	Name string `hcl:"name,optional" json:"name,omitempty"`
	// "running", "exited" (there is one, and it does not run) or "absent" (there is none). Default: "running".
	State string `hcl:"state,optional" json:"state,omitempty"`
}

// Check implements lab.Checker.
func (c *Container) Check() []lab.Problem {
	var out []lab.Problem
	if (c.Service == "") == (c.Name == "") {
		out = append(out, lab.Problem{Summary: "one container is needed",
			Detail: "Set either service, a service of the stack, or name, the name of a container of the same account."})
	}
	switch c.State {
	case StateRunning, StateExited, StateAbsent:
	default:
		out = append(out, lab.Problem{Attr: "state", Summary: "no such state",
			Detail: fmt.Sprintf("%q is not a state that can be seen. Write \"running\", \"exited\" or \"absent\".", c.State)})
	}
	return out
}

// Limits implements lab.Limiter.
func (*Container) Limits() []string { return []string{"state"} }

// Numbers implements lab.Numbered.
func (*Container) Numbers() []string { return []string{"found", "running"} }

// Observe implements lab.Observer.
func (c *Container) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	stack, ok := at.Stack(c.Stack)
	if !ok {
		return lab.Observation{}, fmt.Errorf("cannot find %s on this machine", c.Stack)
	}
	name := c.Name
	if c.Service != "" {
		_, s, err := service(at, c.Stack, c.Service)
		if err != nil {
			return lab.Observation{}, err
		}
		name = s.Container
	}
	all, err := at.Containers(ctx, stack.Account)
	if err != nil {
		return lab.Observation{}, err
	}
	found, running := 0, 0
	o := lab.Observation{Summary: StateAbsent}
	for _, k := range all {
		if k.Name != name {
			continue
		}
		found++
		state := StateExited
		if k.PID != 0 {
			running++
			state = StateRunning
		}
		o.Lines = append(o.Lines, fmt.Sprintf("%.12s %s %v", k.ID, state, k.Addresses))
	}
	switch {
	case running > 0:
		o.Summary = StateRunning
	case found > 0:
		o.Summary = StateExited
	}
	o.Values = map[string]float64{"found": float64(found), "running": float64(running)}
	return o, nil
}

// Holds implements lab.Observer.
func (c *Container) Holds(history []lab.Observation) bool {
	v := last(history).Values
	switch c.State {
	case StateRunning:
		return v["running"] > 0
	case StateExited:
		return v["found"] > 0 && v["running"] == 0
	case StateAbsent:
		return v["found"] == 0
	}
	return false
}
