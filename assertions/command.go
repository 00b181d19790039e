package assertions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// codeTimeout is the exit code of a command that was stopped because its time was over, as timeout(1) gives it.
const codeTimeout = 124

// Command runs a command in the machine at each look, and compares how it ended and what it printed.
//
// All settings that are given must hold together, on the newest look. A command that is still running when its time is
// over is stopped and has exit code 124. One that cannot be started at all counts neither way.
//
// Values: code, seconds, stdout_match and stderr_match (1 or 0).
type Command struct {
	// The machine to run it on. Either this or stack.
	Machine lab.MachineRef `hcl:"machine,optional" json:"machine,omitempty"`
	// Run it on this stack's machine, as its account and in its folder.
	Stack lab.StackRef `hcl:"stack,optional" json:"stack,omitempty"`
	// The account to run it as, in its session. Default: root in no session, or the stack's account.
	Account lab.AccountName `hcl:"account,optional" json:"account,omitempty"`
	// The command as one line for sh -c. Either this or argv.
	Run string `hcl:"run,optional" json:"run,omitempty"`
	// The command and its arguments, without a shell.
	Argv []string `hcl:"argv,optional" json:"argv,omitempty"`
	// Holds when the command ends with exactly this exit code.
	Exit *int `hcl:"exit,optional" json:"exit,omitempty"`
	// Holds when its exit code is in this limit, where exit says too much: "over 0".
	ExitCode lab.Limit `hcl:"exit_code,optional" json:"exit_code,omitempty"`
	// Holds when this pattern matches somewhere in its standard output.
	Stdout lab.Pattern `hcl:"stdout,optional" json:"stdout,omitempty"`
	// Holds when this pattern matches somewhere in its standard error.
	Stderr lab.Pattern `hcl:"stderr,optional" json:"stderr,omitempty"`
	// Holds when it took a time in this limit: "over 3s".
	Time lab.Limit `hcl:"time,optional" json:"time,omitempty"`
	// How long it may run. Default: "30s".
	Timeout lab.Duration `hcl:"timeout,optional" json:"timeout,omitempty"`
}

// Check implements lab.Checker.
func (c *Command) Check() []lab.Problem {
	out := checkTimeout(c.Timeout)
	if (c.Run == "") == (len(c.Argv) == 0) {
		out = append(out, lab.Problem{Summary: "one command is needed",
			Detail: "Set either run, a line for sh -c, or argv, a list of the command and its arguments."})
	}
	if c.Exit == nil && c.ExitCode == "" && c.Stdout == "" && c.Stderr == "" && c.Time == "" {
		out = append(out, nothingAsserted("exit, exit_code, stdout, stderr and time"))
	}
	if c.Exit != nil && c.ExitCode != "" {
		out = append(out, lab.Problem{Attr: "exit_code", Summary: "two settings for the exit code",
			Detail: "exit is one exit code, exit_code a limit for it. Set one of them."})
	}
	if alwaysTrue(c.ExitCode) {
		out = append(out, lab.Problem{Attr: "exit_code", Summary: "every exit code is in the limit",
			Detail: "An exit code is never below 0, so this always holds and proves nothing. Write a limit that can be missed, such as \"over 0\"."})
	}
	out = append(out, checkTime("time", c.Time)...)
	if (c.Stack == "") == (c.Machine == "") {
		out = append(out, onePlace())
	}
	return out
}

// Longest is how long one look may take.
func (c *Command) Longest() time.Duration { return c.Timeout.Value() + time.Second }

// Limits implements lab.Limiter.
func (*Command) Limits() []string { return []string{"exit", "exit_code", "time"} }

// Numbers implements lab.Numbered.
func (c *Command) Numbers() []string {
	out := []string{"code", "seconds"}
	if c.Stdout != "" {
		out = append(out, "stdout_match")
	}
	if c.Stderr != "" {
		out = append(out, "stderr_match")
	}
	return out
}

// Observe implements lab.Observer.
func (c *Command) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	cmd := lab.Command{Argv: c.Argv, Account: string(c.Account)}
	if c.Run != "" {
		cmd.Argv = []string{"sh", "-c", c.Run}
	}
	if c.Stack != "" {
		stack, ok := at.Stack(c.Stack)
		if !ok {
			return lab.Observation{}, fmt.Errorf("cannot find %s on this machine", c.Stack)
		}
		cmd.Dir = stack.Folder()
		if cmd.Account == "" {
			cmd.Account = stack.Account
		}
	}
	limited, cancel := context.WithTimeout(ctx, c.Timeout.Value())
	defer cancel()
	start := time.Now()
	r, err := at.Run(limited, cmd)
	took := time.Since(start)
	o := lab.Observation{Lines: lastLines(append(r.Stdout, r.Stderr...), 10)}
	switch {
	case ctx.Err() != nil:
		return lab.Observation{}, ctx.Err()
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		r.Code = codeTimeout
		o.Summary = fmt.Sprintf("stopped after %s", c.Timeout)
	case err != nil:
		return lab.Observation{}, err
	default:
		o.Summary = fmt.Sprintf("code %d in %.3f s", r.Code, took.Seconds())
	}
	o.Values = map[string]float64{"code": float64(r.Code), "seconds": took.Seconds()}
	if c.Stdout != "" {
		o.Values["stdout_match"] = truth(c.Stdout.Regexp().Match(r.Stdout))
	}
	if c.Stderr != "" {
		o.Values["stderr_match"] = truth(c.Stderr.Regexp().Match(r.Stderr))
	}
	return o, nil
}

// Holds implements lab.Observer.
func (c *Command) Holds(history []lab.Observation) bool {
	v := last(history).Values
	return (c.Exit == nil || v["code"] == float64(*c.Exit)) &&
		(c.ExitCode == "" || c.ExitCode.Holds(v["code"])) &&
		(c.Stdout == "" || v["stdout_match"] == 1) &&
		(c.Stderr == "" || v["stderr_match"] == 1) &&
		(c.Time == "" || c.Time.Holds(v["seconds"]))
}
