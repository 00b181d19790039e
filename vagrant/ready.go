package vagrant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// agent is what the driver uses of a connection to the agent inside a machine.
type agent interface {
	Run(ctx context.Context, cmd lab.Command) (lab.Result, error)
	Put(ctx context.Context, f lab.File) error
	Watch(ctx context.Context, p lab.Probe, each func(lab.Observation)) error
	Clock(ctx context.Context) (time.Duration, error)
	AddAccounts(ctx context.Context, accounts []lab.Account) error
	Resume(ctx context.Context, behind time.Duration) error
	Close() error
}

// requirement is one thing that must hold before a machine is ready.
type requirement struct {
	what string
	hint string                          // what to look at when it does not hold
	wait func(ctx context.Context) error // until it holds, cannot hold any more, or ctx ends
}

func (d *Driver) readiness(v *machine, m lab.Machine, p *prepared) []requirement {
	all := []requirement{{
		what: "saigen's agent answers",
		hint: "vagrant ssh must work without a password, and sudo in the machine too",
		wait: func(ctx context.Context) error {
			config := filepath.Join(v.sock, sshConfig)
			if _, ok := p.boots[m.Name]; !ok { // others have the agent since their boot
				if err := install(ctx, config, v.name, d.o.Self); err != nil {
					return err
				}
			}
			var err error
			v.guest, err = dial(ctx, config, v.name, d.dialTime)
			return err
		},
	}}
	if !p.foreign() {
		all = append(all, requirement{
			what: "it has its name",
			hint: "/etc/hosts and /etc/hostname of the box must be files that root can write",
			wait: v.callIt,
		})
	}
	all = append(all, requirement{
		what: "systemd has finished booting",
		hint: "a unit of the box takes too long: systemctl list-jobs in the machine names it",
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
	})
	if disk, ok := p.services[m.Name]; ok {
		all = append(all, requirement{
			what: "the services' images are there",
			hint: "the machine needs room for them in /var/lib/saigen, and the kernel module loop",
			wait: func(ctx context.Context) error { return v.bringServices(ctx, disk) },
		})
	}
	return append(all, requirement{
		what: "the accounts exist and their sessions are open",
		hint: "systemd-logind opens the sessions: loginctl in the machine shows them",
		wait: func(ctx context.Context) error { return v.guest.AddAccounts(ctx, m.Accounts) },
	})
}

// await goes through the requirements, with one limit for all of them.
func (v *machine) await(ctx context.Context, all []requirement, log *slog.Logger) error {
	limited, cancel := context.WithTimeout(ctx, bootTime)
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
		var why *lab.InfraError
		if errors.As(err, &why) && why.Tail != "" {
			tail = strings.TrimSpace(tail) + "\n" + why.Tail
		}
		return &lab.InfraError{
			What: fmt.Sprintf("cannot start %s: requirement %d of %d does not hold: %s", v.ref, i+1, len(all), r.what),
			Hint: r.hint,
			Tail: tail,
			Err:  errors.Join(err, consoleErr),
		}
	}
	return nil
}
