package examples

import (
	"context"
	"fmt"

	"github.com/saigen-lab/saigen/lab"
)

// FileMissing takes a file away, and brings it back when it is healed.
//
// In force: the file is not there, and it was.
type FileMissing struct {
	// The machine that has the file.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// Where the file is, as an absolute path.
	Path string `hcl:"path" json:"path"`
}

// Inject implements lab.Breaker.
func (f *FileMissing) Inject(ctx context.Context, env lab.Env) error {
	env.Say("taking %s away", f.Path)
	return f.run(ctx, env, `mv "$1" "$1.saigen"`)
}

// Verify implements lab.Breaker.
func (f *FileMissing) Verify(ctx context.Context, env lab.Env) error {
	return f.run(ctx, env, `test ! -e "$1" && test -e "$1.saigen"`)
}

// Heal implements lab.Breaker.
func (f *FileMissing) Heal(ctx context.Context, env lab.Env) error {
	return f.run(ctx, env, `test ! -e "$1.saigen" || mv "$1.saigen" "$1"`)
}

func (f *FileMissing) run(ctx context.Context, env lab.Env, script string) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	cmd := lab.Command{Argv: []string{"sh", "-c", script, "sh", f.Path}}
	r, err := m.Run(ctx, cmd)
	if err != nil {
		return fmt.Errorf("cannot run %q on %s: %w", script, f.Machine, err)
	}
	return r.Err(cmd)
}

// Check implements lab.Checker.
func (f *FileMissing) Check() []lab.Problem {
	if len(f.Path) > 0 && f.Path[0] == '/' {
		return nil
	}
	return []lab.Problem{{Attr: "path", Summary: "no absolute path",
		Detail: fmt.Sprintf("%q does not say which file is meant. Write the whole path, such as \"/etc/hosts\".", f.Path)}}
}
