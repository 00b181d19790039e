package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

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

// requirement is one thing that must hold before a machine is ready.
type requirement struct {
	what string
	hint string                          // what to look at when it does not hold
	wait func(ctx context.Context) error // until it holds, cannot hold any more, or ctx ends
}

// errStopped says why there is no point in waiting for the agent.
var errStopped = errors.New("the machine has stopped")

func (d *Driver) readiness(v *machine, m lab.Machine) []requirement {
	return []requirement{
		{
			what: "saigen's agent answers",
			hint: "the image starts it as saigen-agent.service; its console says whether systemd came up",
			wait: func(ctx context.Context) error {
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
			what: "its mounts are shared",
			hint: "mount in the machine says what it cannot do",
			wait: func(ctx context.Context) error {
				// As systemd makes them on a real machine, but not in a container; rootless podman complains otherwise.
				return v.command(ctx, "mount", "--make-rshared", "/")
			},
		},
		{
			what: "systemd has finished booting",
			hint: "a unit of the image takes too long: systemctl list-jobs in the machine names it",
			wait: func(ctx context.Context) error {
				// Which units failed is the lab's business: a machine with a failed unit is up too.
				res, err := v.guest.Run(ctx, lab.Command{Argv: []string{"systemctl", "is-system-running", "--wait"}})
				if err != nil {
					return err
				}
				switch state := strings.TrimSpace(string(res.Stdout)); state {
				case "running", "degraded":
					return nil
				default:
					return fmt.Errorf("systemd is %q %s", state, res.Stderr)
				}
			},
		},
		{
			what: "the accounts exist and their sessions are open",
			hint: "systemd-logind opens the sessions: loginctl in the machine shows them",
			wait: func(ctx context.Context) error {
				return v.guest.AddAccounts(ctx, m.Accounts)
			},
		},
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

// await goes through the requirements, with one limit for all of them.
func (v *machine) await(ctx context.Context, limit time.Duration, all []requirement, log *slog.Logger) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for i, r := range all {
		began := time.Now()
		err := r.wait(limited)
		if err == nil {
			log.Debug("requirement holds", "machine", v.ref, "what", r.what, "took", time.Since(began))
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		tail, consoleErr := v.Console(context.WithoutCancel(ctx))
		return &lab.InfraError{
			What: fmt.Sprintf("cannot start %s: requirement %d of %d does not hold: %s", v.ref, i+1, len(all), r.what),
			Hint: r.hint,
			Tail: tail,
			Err:  errors.Join(err, consoleErr),
		}
	}
	return nil
}
