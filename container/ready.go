package container

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/saigen-lab/saigen/driver"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// agent is what the driver uses of a connection to the agent inside a machine.
type agent interface {
	Run(ctx context.Context, cmd lab.Command) (lab.Result, error)
	Put(ctx context.Context, f lab.File) error
	Watch(ctx context.Context, p lab.Probe, each func(lab.Observation)) error
	Clock(ctx context.Context) (time.Duration, error)
	AddAccounts(ctx context.Context, accounts []lab.Account) error
	Close() error
}

// errStopped says why there is no point in waiting for the agent.
var errStopped = errors.New("the machine has stopped")

func (d *Driver) readiness(v *machine, m lab.Machine) []driver.Requirement {
	return []driver.Requirement{
		{
			What: "saigen's agent answers",
			Hint: "the image starts it as saigen-agent.service; its console says whether systemd came up",
			Wait: func(ctx context.Context) error {
				ctx, done := v.whileRunning(ctx)
				defer done()
				g, err := d.dial(ctx, filepath.Join(v.sock, agentSocket))
				if err != nil {
					if errors.Is(context.Cause(ctx), errStopped) {
						return errStopped
					}
					return err
				}
				v.guest = g
				return nil
			},
		},
		{
			What: "its mounts are shared",
			Hint: "mount in the machine says what it cannot do",
			Wait: func(ctx context.Context) error {
				// As systemd makes them on a real machine, but not in a container; rootless podman complains otherwise.
				return v.command(ctx, "mount", "--make-rshared", "/")
			},
		},
		driver.Booted("image", v.Run),
		driver.Accounts(func(ctx context.Context) error { return v.guest.AddAccounts(ctx, m.Accounts) }),
	}
}

// command runs a command in the machine, as root, that must succeed.
func (v *machine) command(ctx context.Context, argv ...string) error {
	cmd := lab.Command{Argv: argv}
	res, err := v.guest.Run(ctx, cmd)
	if err != nil {
		return err
	}
	return res.Err(cmd)
}

// whileRunning returns a context that ends, with errStopped as its cause, when the machine's container stops.
func (v *machine) whileRunning(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	wait := v.api.ContainerWait(ctx, v.name, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	go func() {
		select {
		case <-wait.Result:
			cancel(errStopped)
		case <-wait.Error: //nolint:errcheck // the engine is gone, or ctx has ended: the dial's own error says more
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// dialGuest connects to the agent in a machine.
func dialGuest(ctx context.Context, socket string) (agent, error) {
	c, err := guest.Dial(ctx, socket)
	if err != nil {
		return nil, err
	}
	return c, nil
}
