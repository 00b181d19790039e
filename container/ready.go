package container

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/saigen-lab/saigen/lab"
)

// agent is what the driver uses of a connection to the agent inside a machine.
type agent interface {
	Run(ctx context.Context, cmd lab.Command) (lab.Result, error)
	Put(ctx context.Context, f lab.File) error
	Watch(ctx context.Context, p lab.Probe, each func(lab.Observation)) error
	AddAccounts(ctx context.Context, accounts []lab.Account) error
	Close() error
}

// requirement is one thing that must hold before a machine is ready. check is repeated until it returns nil.
type requirement struct {
	what  string
	check func(ctx context.Context) error
	hint  string
}

// errNever ends the repetition: the requirement cannot hold any more.
var errNever = errors.New("the machine has stopped")

// lookAgain is the time between two looks at a requirement.
const lookAgain = 10 * time.Millisecond

func (d *Driver) readiness(v *machine, m lab.Machine) []requirement {
	return []requirement{
		{
			what: "saigen's agent answers",
			hint: "the image starts it as saigen-agent.service; its console says whether systemd came up",
			check: func(ctx context.Context) error {
				ctx, done := v.whileRunning(ctx)
				defer done()
				g, err := d.dial(ctx, filepath.Join(v.sock, agentSocket))
				if err != nil {
					return errors.Join(err, context.Cause(ctx))
				}
				v.guest = g
				return nil
			},
		},
		{
			what: "systemd has finished booting",
			hint: "a unit of the image takes too long: systemctl list-jobs in the machine names it",
			check: func(ctx context.Context) error {
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
			check: func(ctx context.Context) error {
				return v.guest.AddAccounts(ctx, m.Accounts)
			},
		},
	}
}

// whileRunning returns a context that ends, with errNever as its cause, when the machine's container stops.
func (v *machine) whileRunning(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	wait := v.api.ContainerWait(ctx, v.container.GetContainerID(), client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	go func() {
		select {
		case <-wait.Result:
			cancel(errNever)
		case <-wait.Error: // the engine is gone, or ctx has ended: the dial's own error says more
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// await waits for one requirement after the other, bootTime for all of them.
func (v *machine) await(ctx context.Context, all []requirement) error {
	limited, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for i, r := range all {
		for {
			err := r.check(limited)
			if err == nil {
				break
			}
			if !errors.Is(err, errNever) {
				select {
				case <-limited.Done():
				case <-again.C:
					continue
				}
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			tail, consoleErr := v.Console(context.WithoutCancel(ctx))
			return &lab.InfraError{
				What: fmt.Sprintf("cannot start %s: requirement %d of %d never held: %s", v.ref, i+1, len(all), r.what),
				Hint: r.hint,
				Tail: tail,
				Err:  errors.Join(err, consoleErr),
			}
		}
	}
	return nil
}
