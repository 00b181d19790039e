package faults

import (
	"context"
	"fmt"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Command breaks something with scripts of the lab: one that makes the change, one that says whether it is in force, and
// one that takes it back. Each runs in the machine, in the account's home.
//
// In force: the verify script ends with code 0.
type Command struct {
	// The machine to break.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// The account that runs the scripts, in its session. Default: root, in no session.
	Account lab.AccountName `hcl:"account,optional" json:"account,omitempty"`
	// The script that makes the change. It ends with code 0 when the change is complete.
	Break lab.Path `hcl:"inject" json:"inject"`
	// The script that ends with code 0 when the change is in force. It looks at the cause, not at the symptom.
	Confirm lab.Path `hcl:"verify" json:"verify"`
	// The script that takes the change back. It also runs after half an inject, and may run twice: then it ends with
	// code 0 too.
	Undo lab.Path `hcl:"heal" json:"heal"`
}

// Check implements lab.Checker.
func (f *Command) Check() []lab.Problem {
	if f.Break != "" && f.Break == f.Undo {
		return []lab.Problem{{Attr: "heal", Summary: "the same script as inject",
			Detail: "A change cannot be taken back by making it again. Write a script of its own for heal."}}
	}
	return nil
}

// Inject implements lab.Breaker.
func (f *Command) Inject(ctx context.Context, env lab.Env) error {
	env.Say("running %s", f.Break)
	return f.run(ctx, env, f.Break)
}

// Verify implements lab.Breaker.
func (f *Command) Verify(ctx context.Context, env lab.Env) error { return f.run(ctx, env, f.Confirm) }

// Heal implements lab.Breaker.
func (f *Command) Heal(ctx context.Context, env lab.Env) error { return f.run(ctx, env, f.Undo) }

func (f *Command) run(ctx context.Context, env lab.Env, script lab.Path) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	data, err := env.File(script)
	if err != nil {
		return err
	}
	path := folder + "/" + strings.ReplaceAll(string(script), "/", "_")
	if err := m.Put(ctx, lab.File{Path: path, Data: data, Mode: 0o755}); err != nil {
		return fmt.Errorf("cannot bring %s into %s: %w", script, f.Machine, err)
	}
	if _, err := do(ctx, m, string(f.Account), path); err != nil {
		return fmt.Errorf("cannot run script %s: %w", script, err)
	}
	return nil
}
