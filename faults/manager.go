package faults

import (
	"context"
	"fmt"

	"github.com/saigen-lab/saigen/lab"
)

// user is an account of a machine, as systemd sees it.
type user struct {
	m       lab.Running
	uid     string
	lingers bool
}

func userOf(ctx context.Context, m lab.Running, account string) (user, error) {
	uid, err := output(ctx, m, "id", "-u", account)
	if err != nil {
		return user{}, err
	}
	// The file is what enable-linger makes; loginctl show-user fails for a user with no session at the moment.
	r, err := try(ctx, m, "", "test", "-e", "/var/lib/systemd/linger/"+account)
	return user{m: m, uid: uid, lingers: r.Code == 0}, err
}

func (u user) unit() string { return "user@" + u.uid + ".service" }

func (u user) show(ctx context.Context, property string) (string, error) {
	return output(ctx, u.m, "systemctl", "show", "-p", property, "--value", u.unit())
}

// kill sends SIGKILL to every process of the user manager, waits for its end, and starts it again when the account
// lingers: logind by itself does that only at boot and at a login.
func (u user) kill(ctx context.Context) (managerChange, error) {
	state, err := u.show(ctx, "ActiveState")
	if err != nil {
		return managerChange{}, err
	}
	if state != "active" {
		return managerChange{}, fmt.Errorf("cannot kill %s: it is %s; give the account a session that has a user manager, such as \"linger\"", u.unit(), state)
	}
	var change managerChange
	if change.Before, err = u.show(ctx, "InvocationID"); err != nil {
		return change, err
	}
	if _, err := do(ctx, u.m, "", "systemctl", "kill", "-s", "KILL", u.unit()); err != nil {
		return change, err
	}
	err = await(ctx, managerPatience, u.unit()+" must have ended", func() (bool, error) {
		state, err := u.show(ctx, "ActiveState")
		return state == "failed" || state == "inactive", err
	})
	if err != nil {
		return change, err
	}
	r, err := try(ctx, u.m, "", "test", "-d", "/run/user/"+u.uid)
	if err != nil {
		return change, err
	}
	change.FolderStayed = r.Code == 0
	if u.lingers {
		if err := u.startManager(ctx); err != nil {
			return change, err
		}
	}
	// A manager that was not started again still shows the invocation that was killed.
	if state, err = u.show(ctx, "ActiveState"); err != nil || state != "active" {
		return change, err
	}
	change.After, err = u.show(ctx, "InvocationID")
	return change, err
}

// startManager returns when the manager answers; one that runs already is fine.
func (u user) startManager(ctx context.Context) error {
	_, err := do(ctx, u.m, "", "systemctl", "start", u.unit())
	return err
}
