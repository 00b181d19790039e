package faults

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Login logs an account in through PAM and logind, as sshd and login(1) do it, and keeps the login open until the fault is
// healed or the account is logged out. A script of the lab can be typed in it.
//
// The script is a child of the login shell: what it starts belongs to this session's scope, also when the lab runs the account's other
// commands in another way. The login is opened anew when the same script was typed in one before.
//
// In force: logind has the session open, and the script has ended with code 0. Healing closes the login; what was started in it
// goes on as it does after a logout.
type Login struct {
	// The machine to log in on.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// The account that logs in.
	Account lab.AccountName `hcl:"account" json:"account"`
	// A script that is typed in the login, in the account's home. It must end with code 0. Default: nothing is typed.
	Run lab.Path `hcl:"run,optional" json:"run,omitempty"`
	// How long the script may take. Default: "2m".
	Timeout lab.Duration `hcl:"timeout,optional" json:"timeout,omitempty"`
}

// loginPatience is how long logind may take to open or to close a session.
const loginPatience = 30 * time.Second

// loginEvidence is what Inject leaves in the machine.
type loginEvidence struct {
	Session string `json:"session"`
	Code    int    `json:"code"` // of the script
}

// typed is the script's name in names of units and files.
func (f *Login) typed() string {
	if f.Run == "" {
		return ""
	}
	name := strings.TrimSuffix(path.Base(string(f.Run)), path.Ext(string(f.Run)))
	return "." + strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
}

func (f *Login) evidence() string { return "login-" + string(f.Account) + f.typed() }

func (f *Login) unit() string { return loginUnit(string(f.Account) + f.typed()) }

// Check implements lab.Checker.
func (f *Login) Check() []lab.Problem {
	if f.Timeout.Check() == nil && f.Timeout.Value() == 0 {
		return []lab.Problem{{Attr: "timeout", Summary: "no time at all",
			Detail: "No script ends in 0 s. Write how long it may take, or leave it out for \"2m\"."}}
	}
	return nil
}

// typeScript is what the login shell runs: a script, whose code it prints, and then nothing for as long as the login is open.
const typeScript = `"$0"; echo "` + typedCode + `$?"; exec sleep infinity`

const typedCode = "saigen: the script ended with code "

// Inject implements lab.Breaker.
func (f *Login) Inject(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	account := string(f.Account)
	env.Say("%s logs in", account)
	if f.Run == "" {
		session, err := openLogin(ctx, m, f.unit(), account)
		if err != nil {
			return err
		}
		return keep(ctx, m, f.evidence(), loginEvidence{Session: session})
	}
	data, err := env.File(f.Run)
	if err != nil {
		return err
	}
	script, said := folder+"/"+f.evidence(), folder+"/"+f.evidence()+".log"
	if err := m.Put(ctx, lab.File{Path: script, Data: data, Mode: 0o755}); err != nil {
		return fmt.Errorf("cannot bring %s into %s: %w", f.Run, f.Machine, err)
	}
	if err := m.Put(ctx, lab.File{Path: said, Mode: 0o600}); err != nil {
		return err
	}
	session, err := openLogin(ctx, m, f.unit(), account, "-p", "StandardOutput=append:"+said, "-p", "StandardError=inherit",
		"/bin/bash", "-l", "-c", typeScript, script)
	if err != nil {
		return err
	}
	code, out, err := f.ended(ctx, m, said)
	if err != nil {
		return err
	}
	env.Say("%s types %s: code %d%s", account, f.Run, code, complaint(lab.Result{Stdout: out}))
	if code != 0 {
		return (&lab.ExitError{Command: lab.Command{Argv: []string{string(f.Run)}, Account: account}, Result: lab.Result{Code: code, Stdout: out}})
	}
	return keep(ctx, m, f.evidence(), loginEvidence{Session: session, Code: code})
}

// ended waits for the script's end, and returns its code and what it printed.
func (f *Login) ended(ctx context.Context, m lab.Running, said string) (code int, out []byte, err error) {
	err = await(ctx, f.Timeout.Value(), fmt.Sprintf("%s, which %s types, must have ended", f.Run, f.Account), func() (bool, error) {
		r, err := do(ctx, m, "", "cat", said)
		if err != nil {
			return false, err
		}
		out = r.Stdout
		last := strings.TrimSpace(string(out[strings.LastIndex(strings.TrimRight(string(out), "\n"), "\n")+1:]))
		number, done := strings.CutPrefix(last, typedCode)
		if done {
			code, err = strconv.Atoi(number)
			return true, err
		}
		state, err := unitState(ctx, m, f.unit())
		if err == nil && state != "active" {
			err = fmt.Errorf("cannot type %s: the login of %s ended before the script did", f.Run, f.Account)
		}
		return false, err
	})
	return code, out, err
}

// Verify implements lab.Breaker.
func (f *Login) Verify(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	var e loginEvidence
	if err := kept(ctx, m, f.evidence(), &e); err != nil {
		return err
	}
	all, err := logins(ctx, m, string(f.Account))
	if err != nil {
		return err
	}
	for _, l := range all {
		if l.id == e.Session && l.open() {
			return nil
		}
	}
	return fmt.Errorf("cannot confirm login: session %s of %s is not open", e.Session, f.Account)
}

// Heal implements lab.Breaker.
func (f *Login) Heal(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	return stopUnit(ctx, m, f.unit())
}

// loginUnit is the unit of a login in which nothing runs; the agent opens that of logged_in under this name too.
func loginUnit(account string) string { return "saigen-login-" + account + ".service" }

// login is one session of an account, as logind sees it.
type login struct {
	id     string
	leader string // pid of the process that opened it
	class  string
	state  string
	scope  string
}

// open says whether somebody is logged in with it. A session is closing when he has left and processes of it run on; it has
// class manager when it is the user manager's own, as from systemd 256 on.
func (l login) open() bool { return l.state != "closing" && !strings.HasPrefix(l.class, "manager") }

// showLogins prints the properties of an account's sessions, an empty line after each; a session may go away meanwhile. loginctl 252 takes
// one property at a time.
const showLogins = `for s in $(loginctl show-user --value --property=Sessions "$1" 2>/dev/null); do
	loginctl show-session "$s" -p Id -p Leader -p Class -p State -p Scope 2>/dev/null && echo
done; true`

// logins lists an account's sessions, those included that are closing. An account that is not logged in has none.
func logins(ctx context.Context, m lab.Running, account string) ([]login, error) {
	r, err := do(ctx, m, "", "sh", "-c", showLogins, "sh", account)
	if err != nil {
		return nil, err
	}
	var out []login
	for block := range strings.SplitSeq(string(r.Stdout), "\n\n") {
		p := map[string]string{}
		for line := range strings.Lines(block) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				p[name] = value
			}
		}
		if p["Id"] != "" {
			out = append(out, login{id: p["Id"], leader: p["Leader"], class: p["Class"], state: p["State"], scope: p["Scope"]})
		}
	}
	return out, nil
}

// openLogin opens a login of an account in a unit of its own, and returns the session's id when the account is online. further are options of
// systemd-run and the command; none: nothing runs in it. With Type=exec the start of such a unit would never end: the
// session's PAM helper keeps open what systemd waits for; so the session itself is waited for.
func openLogin(ctx context.Context, m lab.Running, unit, account string, further ...string) (string, error) {
	if err := stopUnit(ctx, m, unit); err != nil {
		return "", err
	}
	if len(further) == 0 {
		further = []string{"/bin/bash", "-l", "-c", "exec sleep infinity"}
	}
	argv := append([]string{"systemd-run", "--quiet", "--collect", "--unit", unit, "-p", "PAMName=login", "-p", "User=" + account,
		"-p", "KillMode=mixed", "-p", "WorkingDirectory=~",
		// As for ssh; pam_systemd calls a login without a terminal a background one otherwise.
		"--setenv=XDG_SESSION_TYPE=tty", "--setenv=XDG_SESSION_CLASS=user"}, further...)
	if _, err := do(ctx, m, "", argv...); err != nil {
		return "", err
	}
	session := ""
	err := await(ctx, loginPatience, account+" must have a login session", func() (bool, error) {
		leader, err := output(ctx, m, "systemctl", "show", "-p", "MainPID", "--value", unit)
		if err == nil && leader == "0" {
			err = fmt.Errorf("cannot log %s in: the login ended at once; journalctl -u %s says why", account, unit)
		}
		if err != nil {
			return false, err
		}
		all, err := logins(ctx, m, account)
		for _, l := range all {
			if l.leader == leader && l.open() && l.state != "opening" {
				session = l.id
			}
		}
		return session != "", err
	})
	return session, err
}
