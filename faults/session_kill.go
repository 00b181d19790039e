package faults

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// SessionKill kills all processes of an account's user manager at once (SIGKILL to user@UID.service), as an
// out-of-memory killer or an operator would, and the account then does what podman asks for: podman system migrate
// where podman says so, podman rm -f of the stack's containers, podman-compose up -d. An account that lingers gets its
// manager started again first.
//
// Whether another login of that account is open decides what follows: /run/user/UID, and with it what podman and its
// name server remember, is removed with the manager when no login is left, and stays when one is.
//
// In force: the manager really was another one after each round. Healing closes the login that was held open and has the
// manager of a lingering account running; it repairs nothing.
type SessionKill struct {
	// The stack whose account is hit, and which that account brings up again.
	Stack lab.StackRef `hcl:"stack" json:"stack"`
	// How many times. Default: 3.
	Rounds int `hcl:"rounds,optional" json:"rounds,omitempty"`
	// Whether a login of the account, through PAM and logind, is held open from before the first round until the fault is
	// healed: the forgotten terminal. Default: false.
	LoginSession bool `hcl:"login_session,optional" json:"login_session"`
	// A service that is restarted at the very end, such as the proxy in front. Default: none.
	ThenRestart lab.ServiceName `hcl:"then_restart,optional" json:"then_restart,omitempty"`
}

// Check implements lab.Checker.
func (f *SessionKill) Check() []lab.Problem { return checkRounds(f.Rounds) }

// managerPatience is how long a user manager may take to end or to start.
const managerPatience = 30 * time.Second

// killEvidence is what Inject leaves in the machine.
type killEvidence struct {
	Kills []managerChange `json:"kills"`
}

// managerChange is one round: the invocations of the user manager before and after (empty: none runs), and whether /run/user/UID
// stayed.
type managerChange struct {
	Before       string `json:"before"`
	After        string `json:"after"`
	FolderStayed bool   `json:"folder_stayed"`
}

func (f *SessionKill) evidence() string { return "session_kill-" + f.Stack.Name() }

// Inject implements lab.Breaker.
func (f *SessionKill) Inject(ctx context.Context, env lab.Env) error {
	stack, m, err := place(env, f.Stack)
	if err != nil {
		return err
	}
	u, err := userOf(ctx, m, stack.Account)
	if err != nil {
		return err
	}
	var done killEvidence
	if err := keep(ctx, m, f.evidence(), done); err != nil {
		return err
	}
	if f.LoginSession {
		env.Say("%s has a login open", stack.Account)
		if _, err := openLogin(ctx, m, loginUnit(stack.Account), stack.Account); err != nil {
			return err
		}
	}
	for round := range f.Rounds {
		env.Say("round %d of %d: all processes of %s's user manager are killed", round+1, f.Rounds, stack.Account)
		change, err := u.kill(ctx)
		if err != nil {
			return err
		}
		done.Kills = append(done.Kills, change)
		if err := keep(ctx, m, f.evidence(), done); err != nil {
			return err
		}
		if err := bringBack(ctx, env, m, stack); err != nil {
			return err
		}
	}
	return restart(ctx, env, f.Stack, f.ThenRestart)
}

// bringBack is what the account does after a crash: what podman tells it to.
func bringBack(ctx context.Context, env lab.Env, m lab.Running, stack lab.Stack) error {
	if err := migrate(ctx, env, m, stack); err != nil {
		return err
	}
	var names []string
	for _, s := range stack.Services {
		names = append(names, s.Container)
	}
	env.Say("%s removes %s and brings the stack up again", stack.Account, strings.Join(names, ", "))
	if err := remove(ctx, m, stack.Account, names...); err != nil {
		return err
	}
	if err := compose(ctx, env, lab.StackRef("stack."+stack.Name), "up", "-d"); err != nil {
		return err
	}
	for _, name := range names {
		if err := awaitRunning(ctx, m, stack.Account, name); err != nil {
			return err
		}
	}
	return nil
}

// mostMigrations is how often podman system migrate is tried. 4.3.1 needs one; 5.4.2 stops one container, crashes with a
// nil pointer in teardownNetworkBackend, and needs one for each container.
const mostMigrations = 10

// migrate runs podman system migrate as long as podman asks for it.
func migrate(ctx context.Context, env lab.Env, m lab.Running, stack lab.Stack) error {
	ps := lab.Command{Argv: []string{"podman", "ps", "-a"}, Account: stack.Account}
	for range mostMigrations {
		r, err := try(ctx, m, stack.Account, ps.Argv...)
		if err != nil || r.Code == 0 {
			return err
		}
		if firstLine(r.Stderr, "podman system migrate") == "" {
			return fmt.Errorf("cannot bring %s back: %w", stack.Name, r.Err(ps))
		}
		env.Say("podman asks for podman system migrate")
		if r, err = try(ctx, m, stack.Account, "podman", "system", "migrate"); err != nil {
			return err
		}
		if r.Code != 0 {
			env.Say("podman system migrate ended with code %d: %s", r.Code, firstLine(r.Stderr, ""))
		}
	}
	return fmt.Errorf("cannot bring %s back: after %d times podman system migrate podman still asks for it", stack.Name, mostMigrations)
}

// Verify implements lab.Breaker.
func (f *SessionKill) Verify(ctx context.Context, env lab.Env) error {
	_, m, err := place(env, f.Stack)
	if err != nil {
		return err
	}
	var e killEvidence
	if err := kept(ctx, m, f.evidence(), &e); err != nil {
		return err
	}
	if len(e.Kills) != f.Rounds {
		return fmt.Errorf("cannot confirm session_kill: %d of %d rounds were made", len(e.Kills), f.Rounds)
	}
	for i, k := range e.Kills {
		if k.Before == "" || k.Before == k.After {
			return fmt.Errorf("cannot confirm session_kill: in round %d the user manager %q was not killed", i+1, k.Before)
		}
	}
	return nil
}

// Heal implements lab.Breaker.
func (f *SessionKill) Heal(ctx context.Context, env lab.Env) error {
	stack, m, err := place(env, f.Stack)
	if err != nil {
		return err
	}
	u, err := userOf(ctx, m, stack.Account)
	if err != nil {
		return err
	}
	if u.lingers {
		if err := u.startManager(ctx); err != nil {
			return err
		}
	}
	return stopUnit(ctx, m, loginUnit(stack.Account))
}
