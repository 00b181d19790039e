package labtest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/saigen-lab/saigen/lab"
)

// Env is what a fault under test may use: machines, and files of a lab.
type Env struct {
	Machines []lab.Running
	Stacks   []lab.Stack
	Files    map[lab.Path][]byte

	mu   sync.Mutex
	said []string
}

// Machine implements lab.Env.
func (e *Env) Machine(ref lab.MachineRef) (lab.Running, error) {
	for _, m := range e.Machines {
		if m.Ref() == ref {
			return m, nil
		}
	}
	return nil, fmt.Errorf("cannot find %s", ref)
}

// Stack implements lab.Env.
func (e *Env) Stack(ref lab.StackRef) (lab.Stack, error) {
	for _, s := range e.Stacks {
		if s.Name == ref.Name() {
			return s, nil
		}
	}
	return lab.Stack{}, fmt.Errorf("cannot find %s", ref)
}

// Compose implements lab.Env.
func (e *Env) Compose(ctx context.Context, ref lab.StackRef, args ...string) (lab.Result, error) {
	s, err := e.Stack(ref)
	if err != nil {
		return lab.Result{}, err
	}
	m, err := e.Machine(s.Machine)
	if err != nil {
		return lab.Result{}, err
	}
	return m.Run(ctx, lab.Command{Argv: append([]string{"podman-compose"}, args...), Account: s.Account, Dir: s.Folder()})
}

// File implements lab.Env.
func (e *Env) File(p lab.Path) ([]byte, error) {
	data, ok := e.Files[p]
	if !ok {
		return nil, fmt.Errorf("cannot find %s in the lab's folder", p)
	}
	return data, nil
}

// Say implements lab.Env.
func (e *Env) Say(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.said = append(e.said, fmt.Sprintf(format, args...))
}

// Said returns what was said so far.
func (e *Env) Said() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.said)
}
