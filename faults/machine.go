package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// folder is where faults keep their scripts and their evidence in a machine.
const folder = "/var/lib/saigen-faults"

// try runs a command and returns how it ended; an error means that it could not be run.
func try(ctx context.Context, m lab.Running, account string, argv ...string) (lab.Result, error) {
	r, err := m.Run(ctx, lab.Command{Argv: argv, Account: account})
	if err != nil {
		return r, fmt.Errorf("cannot run %q on %s: %w", strings.Join(argv, " "), m.Ref(), err)
	}
	return r, nil
}

// do runs a command that must end with code 0.
func do(ctx context.Context, m lab.Running, account string, argv ...string) (lab.Result, error) {
	r, err := try(ctx, m, account, argv...)
	if err == nil {
		err = r.Err(lab.Command{Argv: argv, Account: account})
	}
	return r, err
}

// output is what a command that must end with code 0 printed, without the white space around it.
func output(ctx context.Context, m lab.Running, argv ...string) (string, error) {
	r, err := do(ctx, m, "", argv...)
	return strings.TrimSpace(string(r.Stdout)), err
}

// compose runs podman-compose on a stack, and needs code 0.
func compose(ctx context.Context, env lab.Env, stack lab.StackRef, args ...string) error {
	r, err := env.Compose(ctx, stack, args...)
	if err != nil {
		return err
	}
	return r.Err(lab.Command{Argv: append([]string{"podman-compose"}, args...)})
}

// place finds a stack, and the machine that it is on.
func place(env lab.Env, ref lab.StackRef) (lab.Stack, lab.Running, error) {
	stack, err := env.Stack(ref)
	if err != nil {
		return lab.Stack{}, nil, err
	}
	m, err := env.Machine(stack.Machine)
	return stack, m, err
}

// restart restarts a service; none named: nothing to do. It comes last in a fault: a bridge of netavark before 1.9.0 may
// change its address when containers come and go, and programs that resolve names once do it at their start.
func restart(ctx context.Context, env lab.Env, stack lab.StackRef, service lab.ServiceName) error {
	if service == "" {
		return nil
	}
	env.Say("restarting %s, last", service)
	return compose(ctx, env, stack, "restart", "-t", "1", string(service))
}

// poll is the time between two looks at a condition.
const poll = 100 * time.Millisecond

// await waits until a condition is met, at most the given time. A condition's error ends the wait.
func await(ctx context.Context, limit time.Duration, what string, met func() (bool, error)) error {
	deadline := time.Now().Add(limit)
	for {
		ok, err := met()
		if ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cannot go on: %s, still not so after %s", what, limit)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
}

// keep writes what a fault did into its machine, whole or not at all.
func keep(ctx context.Context, m lab.Running, name string, evidence any) error {
	data, err := json.Marshal(evidence)
	if err != nil {
		return err
	}
	return m.Put(ctx, lab.File{Path: evidencePath(name), Data: append(data, '\n'), Mode: 0o600})
}

// kept reads what keep wrote.
func kept(ctx context.Context, m lab.Running, name string, evidence any) error {
	r, err := do(ctx, m, "", "cat", evidencePath(name))
	if err != nil {
		return fmt.Errorf("cannot read what the fault did: %w", err)
	}
	return json.Unmarshal(r.Stdout, evidence)
}

func evidencePath(name string) string { return folder + "/" + name + ".json" }

// unitState is "active", "inactive" or another of systemd's words for a unit.
func unitState(ctx context.Context, m lab.Running, unit string) (string, error) {
	return output(ctx, m, "systemctl", "show", "-p", "ActiveState", "--value", unit)
}

// stopUnit stops a transient unit; one that is not there is fine.
func stopUnit(ctx context.Context, m lab.Running, unit string) error {
	state, err := output(ctx, m, "systemctl", "show", "-p", "LoadState", "--value", unit)
	if err != nil {
		return err
	}
	if state == "not-found" {
		return nil
	}
	if _, err := do(ctx, m, "", "systemctl", "stop", unit); err != nil {
		return err
	}
	// A transient unit that failed stays until it is forgotten; one that ended well is gone already, which is fine.
	_, err = try(ctx, m, "", "systemctl", "reset-failed", unit)
	return err
}

// checkRounds complains about a fault that would do nothing.
func checkRounds(rounds int) []lab.Problem {
	if rounds >= 1 {
		return nil
	}
	return []lab.Problem{{Attr: "rounds", Summary: "no rounds",
		Detail: "With fewer than 1 round this fault does nothing. Write 1 or more, or leave it out for 3."}}
}

// firstLine is the first line of a text that contains a word; empty when there is none.
func firstLine(text []byte, word string) string {
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, word) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
