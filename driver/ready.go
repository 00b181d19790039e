package driver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Requirement is one thing that must hold before a machine is ready.
type Requirement struct {
	What string
	Hint string                          // what to look at when it does not hold
	Wait func(ctx context.Context) error // until it holds, cannot hold any more, or ctx ends
}

// Booted requires that systemd has finished booting. of is what the machine's units are part of: its image, or a box.
func Booted(of string, run func(context.Context, lab.Command) (lab.Result, error)) Requirement {
	return Requirement{
		What: "systemd has finished booting",
		Hint: "a unit of the " + of + " takes too long: systemctl list-jobs in the machine names it",
		Wait: func(ctx context.Context) error {
			// Which units failed is the lab's business: a machine with a failed unit is up too.
			res, err := run(ctx, lab.Command{Argv: []string{"systemctl", "is-system-running", "--wait"}})
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
	}
}

// Accounts requires that the machine's accounts are there, which add sees to.
func Accounts(add func(context.Context) error) Requirement {
	return Requirement{
		What: "the accounts exist and their sessions are open",
		Hint: "systemd-logind opens the sessions: loginctl in the machine shows them",
		Wait: add,
	}
}

// Await goes through the requirements of a machine, with one limit for all of them. console returns the last lines that
// the machine wrote, for whoever must find out why one does not hold.
func Await(
	ctx context.Context, limit time.Duration, machine lab.MachineRef, all []Requirement,
	console func(context.Context) (string, error), log *slog.Logger,
) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for i, r := range all {
		began := time.Now()
		err := r.Wait(limited)
		if err == nil {
			log.Debug("requirement holds", "machine", machine, "what", r.What, "took", time.Since(began))
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		tail, unread := console(context.WithoutCancel(ctx))
		var why *lab.InfraError
		if errors.As(err, &why) && why.Tail != "" {
			tail = strings.TrimLeft(strings.TrimRight(tail, "\n")+"\n"+why.Tail, "\n")
		}
		return &lab.InfraError{
			What: fmt.Sprintf("cannot start %s: requirement %d of %d does not hold: %s", machine, i+1, len(all), r.What),
			Hint: r.Hint,
			Tail: tail,
			Err:  errors.Join(err, unread),
		}
	}
	return nil
}
