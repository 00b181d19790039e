package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Logout logs an account out: each of its login sessions is ended by its leader, which hangs up (SIGHUP) as it does when a
// terminal is closed. It returns when logind has drawn its conclusions, and says which:
//
//   - Processes of a session are left, and KillUserProcesses=no, as in Debian: the session is closing, and everything of the account stays.
//   - None are left, and the account lingers: everything of the account stays.
//   - None are left otherwise: ten seconds later (UserStopDelaySec) logind stops the account's user manager and removes /run/user/UID.
//
// Processes of the account that belong to another account's session, as those that su started, are not touched.
//
// In force: no session that was open before is open any more. Healing logs the account in again, as it was declared.
type Logout struct {
	// The machine to log out from.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// The account that logs out. It must be logged in: its session is "login", logged_in is true, or a fault has logged it in.
	Account lab.AccountName `hcl:"account" json:"account"`
}

// forgetPatience is how long logind may take to forget an account: its delay of 10 s, and the end of the user manager.
const forgetPatience = 90 * time.Second

// logoutEvidence is what Inject leaves in the machine.
type logoutEvidence struct {
	Sessions []string `json:"sessions"`
	Terminal bool     `json:"terminal"` // one of them was that of logged_in
}

func (f *Logout) evidence() string { return "logout-" + string(f.Account) }

// Check implements lab.Checker.
func (f *Logout) Check() []lab.Problem { return nil }

// Inject implements lab.Breaker.
func (f *Logout) Inject(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	account := string(f.Account)
	u, err := userOf(ctx, m, account)
	if err != nil {
		return err
	}
	all, err := logins(ctx, m, account)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(l login) bool { return !l.open() })
	if len(all) == 0 {
		return fmt.Errorf("cannot log %s out: it is not logged in; give it session = \"login\" or logged_in = true", account)
	}
	terminal, err := output(ctx, m, "systemctl", "show", "-p", "MainPID", "--value", loginUnit(account))
	if err != nil {
		return err
	}
	var e logoutEvidence
	for _, l := range all {
		e.Sessions = append(e.Sessions, l.id)
		e.Terminal = e.Terminal || l.leader == terminal
	}
	if err := keep(ctx, m, f.evidence(), e); err != nil {
		return err
	}
	for _, l := range all {
		env.Say("%s logs out of session %s", account, l.id)
		// Its code is not looked at: who left by himself meanwhile is gone as well.
		if _, err := try(ctx, m, "", "kill", "-s", "HUP", l.leader); err != nil {
			return err
		}
	}
	err = await(ctx, loginPatience, account+" must be logged out", func() (bool, error) {
		open, err := f.stillOpen(ctx, m, e)
		return len(open) == 0, err
	})
	if err != nil {
		return err
	}
	return f.conclude(ctx, env, m, u)
}

// conclude waits for what logind makes of the logout.
func (f *Logout) conclude(ctx context.Context, env lab.Env, m lab.Running, u user) error {
	if u.lingers {
		env.Say("%s lingers: its user manager and /run/user/%s stay", f.Account, u.uid)
		return nil
	}
	said := ""
	var still settled
	err := await(ctx, forgetPatience, fmt.Sprintf("/run/user/%s must have been removed", u.uid), func() (bool, error) {
		all, err := logins(ctx, m, string(f.Account))
		if err != nil {
			return false, err
		}
		for _, l := range all {
			if strings.HasPrefix(l.class, "manager") || l.state != "closing" {
				continue
			}
			left, err := output(ctx, m, "sh", "-c", scopeProcesses, "sh", l.scope)
			if err != nil {
				return false, err
			}
			if left != "" && still.with(l.id+" "+left, time.Now()) {
				said = fmt.Sprintf("session %s is closing only, for processes of it run on (%s): the user manager of %s and /run/user/%s stay",
					l.id, strings.Join(strings.Fields(left), ", "), f.Account, u.uid)
				return true, nil
			}
		}
		r, err := try(ctx, m, "", "test", "-d", "/run/user/"+u.uid)
		if r.Code != 0 {
			said = fmt.Sprintf("logind has stopped the user manager of %s and removed /run/user/%s", f.Account, u.uid)
		}
		return r.Code != 0, err
	})
	if err == nil {
		env.Say("%s", said)
	}
	return err
}

// scopeProcesses prints the names of a scope's processes, a line each. The helper that closes the PAM session, which ends by itself, is not
// one of them.
const scopeProcesses = `c=$(systemctl show -p ControlGroup --value "$1")
for p in $(cat "/sys/fs/cgroup$c/cgroup.procs" 2>/dev/null); do cat "/proc/$p/comm" 2>/dev/null; done | grep -v '^(sd-pa' | sort -u`

// settled says when something has been the same for a while: a session is closing for a moment also when its last processes are
// about to end.
type settled struct {
	what  string
	since time.Time
}

// settledAfter is how long what a logout leaves must be the same.
const settledAfter = 2 * time.Second

func (s *settled) with(what string, now time.Time) bool {
	if s.what != what {
		*s = settled{what, now}
	}
	return now.Sub(s.since) >= settledAfter
}

// stillOpen lists those of the sessions that were ended that are open still.
func (f *Logout) stillOpen(ctx context.Context, m lab.Running, e logoutEvidence) ([]string, error) {
	all, err := logins(ctx, m, string(f.Account))
	var out []string
	for _, l := range all {
		if l.open() && slices.Contains(e.Sessions, l.id) {
			out = append(out, l.id)
		}
	}
	return out, err
}

// Verify implements lab.Breaker.
func (f *Logout) Verify(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	var e logoutEvidence
	if err := kept(ctx, m, f.evidence(), &e); err != nil {
		return err
	}
	open, err := f.stillOpen(ctx, m, e)
	if err != nil {
		return err
	}
	if len(open) > 0 {
		return fmt.Errorf("cannot confirm logout: session %s of %s is open", strings.Join(open, ", "), f.Account)
	}
	return nil
}

// Heal implements lab.Breaker.
func (f *Logout) Heal(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	var e logoutEvidence
	if err := kept(ctx, m, f.evidence(), &e); err != nil {
		if failed := (*lab.ExitError)(nil); errors.As(err, &failed) {
			return nil // nobody was logged out
		}
		return err
	}
	account := string(f.Account)
	if e.Terminal {
		state, err := unitState(ctx, m, loginUnit(account))
		if err != nil {
			return err
		}
		if state != "active" {
			if _, err := openLogin(ctx, m, loginUnit(account), account); err != nil {
				return err
			}
		}
	}
	// A command as the account opens the session that was declared for it, when it is not open.
	_, err = do(ctx, m, account, "true")
	return err
}
