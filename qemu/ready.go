package qemu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// requirement is one thing that must hold before a machine is ready.
type requirement struct {
	what string
	hint string                          // what to look at when it does not hold
	wait func(ctx context.Context) error // until it holds, cannot hold any more, or ctx ends
}

// errStopped says why there is no point in waiting for the agent.
var errStopped = errors.New("the machine has stopped")

func (v *vmachine) readiness(l *lab.Lab, m lab.Machine) []requirement {
	return []requirement{
		{
			what: "saigen's agent answers",
			hint: "the image starts it as saigen-agent.service; the console says whether the kernel and systemd came up",
			wait: v.dial,
		},
		{
			what: "its names, addresses and clock are set",
			hint: "ip in the machine shows its links: a lab with several machines has eth0",
			wait: func(ctx context.Context) error { return v.setUp(ctx, l, m) },
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
			wait: func(ctx context.Context) error { return v.guest.AddAccounts(ctx, m.Accounts) },
		},
	}
}

// dial connects to the agent, as long as the machine runs.
func (v *vmachine) dial(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-v.process.ended:
			cancel(errStopped)
		case <-ctx.Done():
		}
	}()
	g, err := guest.DialPort(ctx, v.sock)
	if err != nil {
		if errors.Is(context.Cause(ctx), errStopped) {
			return errStopped
		}
		return err
	}
	v.guest = g
	return nil
}

// setUp gives the machine what the container driver gives by volumes and its engine.
func (v *vmachine) setUp(ctx context.Context, l *lab.Lab, m lab.Machine) error {
	for path, text := range map[string]string{"/etc/hosts": hosts(l, m.Name), "/etc/resolv.conf": resolvConf} {
		if err := v.guest.Put(ctx, lab.File{Path: path, Data: []byte(text), Mode: 0o644}); err != nil {
			return err
		}
	}
	// A machine that boots reads whole seconds from its clock, and without KVM it takes seconds to do so.
	if err := v.guest.Resume(ctx, 0); err != nil || len(l.Machines) < 2 {
		return err
	}
	address := fmt.Sprintf("%s/%d", addressOf(numberOf(l, m.Name)), prefixLength)
	cmd := lab.Command{Argv: []string{"sh", "-c", "ip address add " + address + " dev eth0 && ip link set eth0 up"}}
	res, err := v.guest.Run(ctx, cmd)
	if err != nil {
		return err
	}
	return res.Err(cmd)
}

// await goes through the requirements, with one limit for all of them.
func (v *vmachine) await(ctx context.Context, limit time.Duration, all []requirement, log *slog.Logger) error {
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
		return &lab.InfraError{
			What: fmt.Sprintf("cannot start %s: requirement %d of %d does not hold: %s", v.ref, i+1, len(all), r.what),
			Hint: r.hint,
			Tail: v.said(),
			Err:  err,
		}
	}
	return nil
}
