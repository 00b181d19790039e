package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/saigen-lab/saigen/lab"
)

// env is what faults see of an arm.
type env struct{ arm *arm }

func (e *env) Machine(ref lab.MachineRef) (lab.Running, error) { return e.arm.machine(ref) }

func (e *env) Stack(ref lab.StackRef) (lab.Stack, error) {
	for _, s := range e.arm.l.Stacks {
		if s.Name == ref.Name() {
			return s, nil
		}
	}
	return lab.Stack{}, fmt.Errorf("there is no %s in this variant", ref)
}

func (e *env) Compose(ctx context.Context, ref lab.StackRef, args ...string) (lab.Result, error) {
	s, err := e.Stack(ref)
	if err != nil {
		return lab.Result{}, err
	}
	m, err := e.Machine(s.Machine)
	if err != nil {
		return lab.Result{}, err
	}
	return e.arm.r.Composer.Compose(ctx, m, s, args...)
}

func (e *env) File(p lab.Path) ([]byte, error) { return readFile(e.arm.l, p) }

func (e *env) Say(format string, args ...any) {
	e.arm.emit(Event{Type: Step, Text: fmt.Sprintf(format, args...)})
}

// readFile reads a file of the lab's folder; os.Root keeps symbolic links from leading out of it.
func readFile(l *lab.Lab, p lab.Path) ([]byte, error) {
	root, err := os.OpenRoot(l.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.ReadFile(filepath.Clean(string(p)))
}

// runScript puts a script of the lab into the machine and runs it as the account, in its home.
func runScript(ctx context.Context, m lab.Running, l *lab.Lab, p lab.Path, account string) (lab.Result, error) {
	data, err := readFile(l, p)
	if err != nil {
		return lab.Result{}, err
	}
	at := "/run/saigen-scripts/" + filepath.Base(string(p))
	if err := m.Put(ctx, lab.File{Path: at, Data: data, Mode: 0o755}); err != nil {
		return lab.Result{}, err
	}
	return m.Run(ctx, lab.Command{Argv: []string{at}, Account: account})
}
