package guest

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// openTerminal logs an account in and leaves the login open, with nothing running in it: the terminal that somebody has open beside
// what the lab runs as the account. It returns when logind has the session and the account's user manager runs. The unit's
// name is known to the faults that log accounts in and out.
func (x *session) openTerminal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	cannot := func(err error) error {
		return &lab.InfraError{What: "cannot log account " + x.ids.name + " in", Err: err, Tail: x.explain()}
	}
	err := runLogin(ctx, "saigen-login-"+x.ids.name+".service", x.ids.name, "saigen terminal of account "+x.ids.name,
		[]string{"/bin/bash", "-l", "-c", "exec sleep infinity"})
	if err != nil {
		return cannot(err)
	}
	err = waitFor(ctx, 4*pollEvery, func() bool {
		// "opening" until the manager has started.
		out, err := exec.CommandContext(ctx, "loginctl", "show-user", "--value", "--property=State", x.ids.name).Output()
		state := strings.TrimSpace(string(out))
		return err == nil && (state == "online" || state == "active")
	})
	if err != nil {
		return cannot(fmt.Errorf("logind has no session: %w", err))
	}
	return nil
}

// runLogin runs a program as a unit of the system that has a PAM session of the user. It is of type simple: with PAM,
// systemd 252 never learns that one of type exec was executed, since the process that keeps the PAM session holds the
// pipe by which it would.
func runLogin(ctx context.Context, unit, user, description string, argv []string) error {
	return tool(ctx, "systemd-run", append([]string{"--quiet", "--collect", "--unit=" + unit,
		"--property=PAMName=login", "--property=User=" + user, "--property=KillMode=mixed",
		// As for ssh; pam_systemd calls a login without a terminal a background one otherwise.
		"--setenv=XDG_SESSION_TYPE=tty", "--setenv=XDG_SESSION_CLASS=user",
		"--description=" + description}, argv...)...)
}
