package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// What session_break takes from a session, and how a user manager is lost.
const (
	BreakBus        = "bus"
	BreakManager    = "manager"
	BreakRuntimeDir = "runtime_dir"

	ByFailedStart = "failed_start"
	ByKill        = "kill"
)

// SessionBreak takes from an account's session what rootless podman counts on: the bus, the user manager, or /run/user/UID. What runs in the
// user manager ends with it, containers too; nothing is deployed again: that is the fault redeploy.
//
//   - "bus": the account logs out and in again, and its new user manager has no bus. dbus.socket is masked for it, unless the package with
//     dbus.socket is not installed, as after package_remove: then a new login is all that it takes.
//   - "manager", by "failed_start": the account logs out and in again, and its user manager is not started in time, as on a host that is
//     too busy: systemd gives it a millisecond. /run/user/UID is new and empty.
//   - "manager", by "kill": all processes of the user manager get SIGKILL while a login is open. /run/user/UID stays as it was: in it are
//     sockets at which nobody answers.
//   - "runtime_dir": the account is logged out everywhere, and does not linger any more. logind removes /run/user/UID.
//
// The lab's own commands as the account must not log it in, or they would repair what was broken: declare it with session = "su" and
// logged_in = true. Such commands belong to root's login, whatever becomes of the account's.
//
// In force: the session is as it says above, also after a command as the account. Healing has the account log in again, linger if it
// did, and its user manager and bus run; it deploys nothing.
type SessionBreak struct {
	// The machine of the account.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// The account whose session is broken.
	Account lab.AccountName `hcl:"account" json:"account"`
	// What is lost: "bus", "manager" or "runtime_dir".
	What string `hcl:"what" json:"what"`
	// With "manager", how: "failed_start" or "kill". Default: "failed_start".
	By string `hcl:"by,optional" json:"by,omitempty"`
}

// Check implements lab.Checker.
func (f *SessionBreak) Check() []lab.Problem {
	var out []lab.Problem
	switch f.What {
	case BreakBus, BreakManager, BreakRuntimeDir:
	default:
		out = append(out, lab.Problem{Attr: "what", Summary: "no such part of a session",
			Detail: fmt.Sprintf("%q is not something that a session can lose. Write \"bus\", \"manager\" or \"runtime_dir\".", f.What)})
	}
	switch f.By {
	case ByFailedStart:
	case ByKill:
		if f.What != BreakManager {
			out = append(out, lab.Problem{Attr: "by", Summary: "setting without effect",
				Detail: "Only a user manager can be lost in several ways. Remove it, or write what = \"manager\"."})
		}
	default:
		out = append(out, lab.Problem{Attr: "by", Summary: "no such way",
			Detail: fmt.Sprintf("%q is not a way to lose a user manager. Write \"failed_start\" or \"kill\".", f.By)})
	}
	return out
}

// breakEvidence is what Inject leaves in the machine: what Heal has to give back.
type breakEvidence struct {
	Lingered bool `json:"lingered"`
	Terminal bool `json:"terminal"` // the login of logged_in was open
	Masked   bool `json:"masked"`   // dbus.socket, by this fault
}

func (f *SessionBreak) evidence() string { return "session_break-" + string(f.Account) }

// busSocket is the unit that dbus-user-session brings.
const busSocket = "/usr/lib/systemd/user/dbus.socket"

// Inject implements lab.Breaker.
func (f *SessionBreak) Inject(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	account := string(f.Account)
	u, err := userOf(ctx, m, account)
	if err != nil {
		return err
	}
	terminal, err := unitState(ctx, m, loginUnit(account))
	if err != nil {
		return err
	}
	e := breakEvidence{Lingered: u.lingers, Terminal: terminal == "active"}
	if f.What == BreakBus {
		r, err := try(ctx, m, "", "test", "-e", busSocket)
		if err != nil {
			return err
		}
		e.Masked = r.Code == 0
	}
	if err := keep(ctx, m, f.evidence(), e); err != nil {
		return err
	}
	if e.Lingered {
		if _, err := do(ctx, m, "", "loginctl", "disable-linger", account); err != nil {
			return err
		}
	}
	switch {
	case f.What == BreakBus:
		if e.Masked {
			env.Say("%s masks dbus.socket", account)
			if _, err := do(ctx, m, account, "sh", "-c", maskBus); err != nil {
				return err
			}
		}
		return f.logInAgain(ctx, env, m, u)
	case f.What == BreakRuntimeDir:
		return f.logOut(ctx, env, m, u)
	case f.By == ByKill:
		return f.kill(ctx, env, m, u)
	}
	if err := u.giveNoTime(ctx); err != nil {
		return err
	}
	err = f.logInAgain(ctx, env, m, u)
	return errors.Join(err, u.giveTime(ctx))
}

const (
	maskBus   = `mkdir -p ~/.config/systemd/user && ln -sfn /dev/null ~/.config/systemd/user/dbus.socket`
	unmaskBus = `if [ "$(readlink ~/.config/systemd/user/dbus.socket)" = /dev/null ]; then rm ~/.config/systemd/user/dbus.socket; fi`
)

// logOut ends every login of the account, and its user manager, and returns when logind has removed /run/user/UID.
func (f *SessionBreak) logOut(ctx context.Context, env lab.Env, m lab.Running, u user) error {
	env.Say("%s is logged out everywhere", f.Account)
	// Its code is not looked at: an account that is not logged in cannot be logged out, and that is fine.
	if _, err := try(ctx, m, "", "loginctl", "terminate-user", string(f.Account)); err != nil {
		return err
	}
	return await(ctx, forgetPatience, fmt.Sprintf("/run/user/%s must have been removed", u.uid), func() (bool, error) {
		s, err := u.look(ctx)
		return s.manager != "active" && !s.folder, err
	})
}

func (f *SessionBreak) logInAgain(ctx context.Context, env lab.Env, m lab.Running, u user) error {
	if err := f.logOut(ctx, env, m, u); err != nil {
		return err
	}
	_, err := openLogin(ctx, m, loginUnit(string(f.Account)), string(f.Account))
	if err != nil {
		return err
	}
	s, err := u.look(ctx)
	env.Say("%s logs in again: %s", f.Account, s)
	return err
}

// kill ends the user manager under a login that is open, which keeps /run/user/UID.
func (f *SessionBreak) kill(ctx context.Context, env lab.Env, m lab.Running, u user) error {
	all, err := logins(ctx, m, string(f.Account))
	if err != nil {
		return err
	}
	open := false
	for _, l := range all {
		open = open || l.open()
	}
	if !open {
		if _, err := openLogin(ctx, m, loginUnit(string(f.Account)), string(f.Account)); err != nil {
			return err
		}
	}
	if _, err := do(ctx, m, "", "systemctl", "kill", "-s", "KILL", u.unit()); err != nil {
		return err
	}
	err = await(ctx, managerPatience, u.unit()+" must have ended", func() (bool, error) {
		s, err := u.look(ctx)
		return s.manager == "failed" || s.manager == "inactive", err
	})
	env.Say("all processes of %s's user manager are killed", f.Account)
	return err
}

// Verify implements lab.Breaker.
func (f *SessionBreak) Verify(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	var e breakEvidence
	if err := kept(ctx, m, f.evidence(), &e); err != nil {
		return err
	}
	u, err := userOf(ctx, m, string(f.Account))
	if err != nil {
		return err
	}
	// What the lab runs as the account from now on must not repair it.
	if _, err := do(ctx, m, string(f.Account), "true"); err != nil {
		return err
	}
	s, err := u.look(ctx)
	if err != nil {
		return err
	}
	broken := map[string]bool{
		BreakBus:        s.manager == "active" && s.folder && !s.bus,
		BreakManager:    s.manager != "active" && s.folder,
		BreakRuntimeDir: s.manager != "active" && !s.folder,
	}
	if broken[f.What] {
		return nil
	}
	return &lab.InfraError{
		What: fmt.Sprintf("cannot confirm session_break of %s: %s", f.Account, s),
		Hint: "a command as an account whose session is \"login\" or \"linger\" opens that session again: declare the account with session = \"su\" and logged_in = true",
	}
}

// Heal implements lab.Breaker.
func (f *SessionBreak) Heal(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	account := string(f.Account)
	var e breakEvidence
	if err := kept(ctx, m, f.evidence(), &e); err != nil {
		if failed := (*lab.ExitError)(nil); errors.As(err, &failed) {
			return nil // nothing was broken
		}
		return err
	}
	u, err := userOf(ctx, m, account)
	if err != nil {
		return err
	}
	if err := u.giveTime(ctx); err != nil {
		return err
	}
	if e.Masked {
		if _, err := do(ctx, m, account, "sh", "-c", unmaskBus); err != nil {
			return err
		}
	}
	if e.Lingered {
		if _, err := do(ctx, m, "", "loginctl", "enable-linger", account); err != nil {
			return err
		}
	}
	switch state, err := unitState(ctx, m, loginUnit(account)); {
	case err != nil:
		return err
	case e.Terminal && state != "active":
		if _, err := openLogin(ctx, m, loginUnit(account), account); err != nil {
			return err
		}
	case !e.Terminal:
		if err := stopUnit(ctx, m, loginUnit(account)); err != nil {
			return err
		}
	}
	if e.Terminal || e.Lingered {
		// A login that has been open all the time starts no manager.
		if err := u.startManager(ctx); err != nil {
			return err
		}
		if _, err := do(ctx, m, "", "sh", "-c", startBus, "sh", u.uid); err != nil {
			return err
		}
	}
	// Opens the session that was declared, when it is not open.
	_, err = do(ctx, m, account, "true")
	return err
}

// startBus starts the bus of a manager that runs without, as the account, over the manager's own socket.
const startBus = `[ -e ` + busSocket + ` ] && ! [ -S "/run/user/$1/bus" ] || exit 0
run() { setpriv --reuid="$1" --regid="$(id -g "$1")" --init-groups env XDG_RUNTIME_DIR="/run/user/$1" systemctl --user $2; }
run "$1" daemon-reload && run "$1" "start dbus.socket"`

// sessionState is what of an account's session there is.
type sessionState struct {
	manager string // systemd's word for its state
	folder  bool   // /run/user/UID
	bus     bool   // the socket of the bus in it; whether somebody answers is another matter
}

func (s sessionState) String() string {
	has := func(name string, there bool) string {
		if there {
			return name
		}
		return "no " + name
	}
	return fmt.Sprintf("its user manager is %s, with %s and %s", s.manager, has("runtime folder", s.folder), has("bus", s.bus))
}

const lookAtSession = `systemctl show -p ActiveState --value "user@$1.service"
if [ -d "/run/user/$1" ]; then echo folder; fi
if [ -S "/run/user/$1/bus" ]; then echo bus; fi`

func (u user) look(ctx context.Context) (sessionState, error) {
	text, err := output(ctx, u.m, "sh", "-c", lookAtSession, "sh", u.uid)
	state, rest, _ := strings.Cut(text, "\n")
	return sessionState{manager: state, folder: strings.Contains(rest, "folder"), bus: strings.Contains(rest, "bus")}, err
}

// giveNoTime has every start of the user manager fail.
func (u user) giveNoTime(ctx context.Context) error {
	err := u.m.Put(ctx, lab.File{Path: u.noTime(), Data: []byte("[Service]\nTimeoutStartSec=1ms\n"), Mode: 0o644})
	if err != nil {
		return err
	}
	_, err = do(ctx, u.m, "", "systemctl", "daemon-reload")
	return err
}

// giveTime takes it back.
func (u user) giveTime(ctx context.Context) error {
	_, err := do(ctx, u.m, "", "sh", "-c", `[ -e "$1" ] || exit 0; rm "$1" && systemctl daemon-reload`, "sh", u.noTime())
	return err
}

func (u user) noTime() string { return "/run/systemd/system/" + u.unit() + ".d/50-saigen-no-time.conf" }
