package labtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Handler answers a command of a fake machine. It must respect ctx.
type Handler func(ctx context.Context, cmd lab.Command) (lab.Result, error)

// World is the state of one fake machine. It is a lab.Place; its methods may be called at any time.
type World struct {
	mu         sync.Mutex
	values     map[string]float64
	broken     map[string]error
	stacks     map[lab.StackRef]lab.Stack
	containers map[string][]lab.Container // by account
	logs       map[string][]lab.LogLine   // by account/container
	processes  []lab.Process
	listeners  map[string][]lab.Listener // by protocol/port
	files      map[string]lab.File
	commands   []lab.Command
	running    int
	clock      time.Duration
	host       time.Duration // by how much the host's clock has been set
	handler    Handler
	lost       chan struct{}
	loseOnce   func()
}

// ErrLost is what every call to a machine answers after World.Lose.
var ErrLost = errors.New("the machine was lost")

// NewWorld returns the world of an empty machine. A nil handler answers every command with code 0 and no output. The
// command fake ("fake get NAME", "fake set NAME VALUE"), cat and stat of files that were put, and scripts that were put and begin with
// FakeShebang, are answered by the world itself.
func NewWorld(handler Handler) *World {
	if handler == nil {
		handler = func(context.Context, lab.Command) (lab.Result, error) { return lab.Result{}, nil }
	}
	lost := make(chan struct{})
	return &World{
		values: map[string]float64{}, broken: map[string]error{}, stacks: map[lab.StackRef]lab.Stack{},
		containers: map[string][]lab.Container{}, logs: map[string][]lab.LogLine{}, listeners: map[string][]lab.Listener{}, files: map[string]lab.File{},
		handler: handler, lost: lost, loseOnce: sync.OnceFunc(func() { close(lost) }),
	}
}

// Set gives a named value; Value reads it, 0 when it was never set.
func (w *World) Set(name string, v float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.values[name] = v
}

// Value reads a named value.
func (w *World) Value(name string) float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.values[name]
}

// Break makes a named value unreadable with this error, so that its probe could not look; nil repairs it.
func (w *World) Break(name string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken[name] = err
}

// SetClock makes the machine's clock differ from the host's by d, from now on.
func (w *World) SetClock(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = d
}

// SetHostClock says that the host's clock has been set by d; the machine's with it where it shares it, as a container does.
func (w *World) SetHostClock(d time.Duration, shared bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.host += d; !shared {
		w.clock -= d
	}
}

// offset is by how much the machine's clock is ahead of the host's.
func (w *World) offset() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

// ahead is by how much it is ahead of the clock that nobody has set.
func (w *World) ahead() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.host + w.clock
}

// copied is a world in the same state, in which no command runs and nothing was lost.
func (w *World) copied() *World {
	out := NewWorld(w.handler)
	w.mu.Lock()
	defer w.mu.Unlock()
	out.values, out.broken, out.stacks, out.files = maps.Clone(w.values), maps.Clone(w.broken), maps.Clone(w.stacks), maps.Clone(w.files)
	for account, c := range w.containers {
		out.containers[account] = slices.Clone(c)
	}
	for container, lines := range w.logs {
		out.logs[container] = slices.Clone(lines)
	}
	for at, l := range w.listeners {
		out.listeners[at] = slices.Clone(l)
	}
	out.processes, out.clock, out.host = slices.Clone(w.processes), w.clock, w.host
	return out
}

// Lose makes the machine disappear: every call that is under way and every later one ends with ErrLost. Twice is
// fine.
func (w *World) Lose() { w.loseOnce() }

func (w *World) gone() error {
	select {
	case <-w.lost:
		return ErrLost
	default:
		return nil
	}
}

// SetStack declares a stack of the machine.
func (w *World) SetStack(s lab.Stack) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stacks[lab.StackRef("stack."+s.Name)] = s
}

// SetContainers replaces the containers of an account.
func (w *World) SetContainers(account string, c ...lab.Container) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.containers[account] = c
}

// Write appends a line to a container's log.
func (w *World) Write(account, container string, at time.Time, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := account + "/" + container
	w.logs[key] = append(w.logs[key], lab.LogLine{At: at, Text: text})
}

// SetProcesses replaces the machine's processes.
func (w *World) SetProcesses(p ...lab.Process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.processes = p
}

// SetListeners replaces who waits at a port of the machine.
func (w *World) SetListeners(protocol string, port uint16, l ...lab.Listener) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners[fmt.Sprintf("%s/%d", protocol, port)] = l
}

// File returns a file that was put.
func (w *World) File(path string) (lab.File, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f, ok := w.files[path]
	return f, ok
}

// Commands returns the commands that were run so far, in the order of their start.
func (w *World) Commands() []lab.Command {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.commands)
}

// Running is how many commands run now.
func (w *World) Running() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running
}

// Stack implements lab.Place.
func (w *World) Stack(ref lab.StackRef) (lab.Stack, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.stacks[ref]
	return s, ok
}

// Containers implements lab.Place.
func (w *World) Containers(ctx context.Context, account string) ([]lab.Container, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.containers[account]), errors.Join(ctx.Err(), w.gone())
}

// Logs implements lab.Place.
func (w *World) Logs(ctx context.Context, account, container string, since time.Time) ([]lab.LogLine, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []lab.LogLine
	for _, l := range w.logs[account+"/"+container] {
		if !l.At.Before(since) {
			out = append(out, l)
		}
	}
	return out, errors.Join(ctx.Err(), w.gone())
}

// Within implements lab.Place: a fake container has the network of the test.
func (w *World) Within(c lab.Container, f func() error) error {
	if c.PID == 0 {
		return fmt.Errorf("cannot enter the network of container %q: it does not run", c.Name)
	}
	return f()
}

// Processes implements lab.Place.
func (w *World) Processes(ctx context.Context) ([]lab.Process, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.processes), errors.Join(ctx.Err(), w.gone())
}

// Listeners implements lab.Place.
func (w *World) Listeners(ctx context.Context, protocol string, port uint16) ([]lab.Listener, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.listeners[fmt.Sprintf("%s/%d", protocol, port)]), errors.Join(ctx.Err(), w.gone())
}

// Run implements lab.Place.
func (w *World) Run(ctx context.Context, cmd lab.Command) (lab.Result, error) {
	if err := errors.Join(ctx.Err(), w.gone()); err != nil {
		return lab.Result{}, err
	}
	w.mu.Lock()
	w.commands = append(w.commands, cmd)
	w.running++
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.running--
		w.mu.Unlock()
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-w.lost:
			cancel()
		case <-ctx.Done():
		}
	}()
	start := time.Now()
	r, err := w.answer(ctx, cmd)
	if w.gone() != nil {
		return lab.Result{}, ErrLost
	}
	r.Took = time.Since(start)
	return r, err
}

func (w *World) answer(ctx context.Context, cmd lab.Command) (lab.Result, error) {
	if len(cmd.Argv) == 0 {
		return lab.Result{}, errors.New("cannot run a command without a name")
	}
	if cmd.Argv[0] == "fake" {
		return w.fake(cmd.Argv[1:])
	}
	if data, ok := w.cat(cmd.Argv); ok {
		return lab.Result{Stdout: data}, nil
	}
	if line, ok := w.stat(cmd.Argv); ok {
		return lab.Result{Stdout: []byte(line)}, nil
	}
	if script, ok := w.script(cmd.Argv); ok {
		return w.runScript(ctx, cmd, script)
	}
	return w.handler(ctx, cmd)
}

// cat answers "cat FILE..." when all of the files were put.
func (w *World) cat(argv []string) ([]byte, bool) {
	if argv[0] != "cat" || len(argv) < 2 {
		return nil, false
	}
	var out []byte
	for _, path := range argv[1:] {
		f, ok := w.File(path)
		if !ok {
			return nil, false
		}
		out = append(out, f.Data...)
	}
	return out, true
}

// stat answers `stat -c "%a %U" PATH` for files that were put and for the folders that were made for them.
func (w *World) stat(argv []string) (string, bool) {
	if len(argv) != 4 || argv[0] != "stat" || argv[2] != "%a %U" {
		return "", false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	mode, owner, found := fs.FileMode(0o755), "", false
	for path, f := range w.files {
		if path == argv[3] {
			mode, owner, found = f.Mode, f.Owner, true
			break
		}
		if strings.HasPrefix(path, argv[3]+"/") {
			owner, found = f.Owner, true
		}
	}
	if owner == "" {
		owner = "root"
	}
	return fmt.Sprintf("%o %s\n", mode, owner), found
}

// fake is the command of that name.
func (w *World) fake(args []string) (lab.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(args) == 2 && args[0] == "get":
		if err := w.broken[args[1]]; err != nil {
			return lab.Result{}, err
		}
		return lab.Result{Stdout: strconv.AppendFloat(nil, w.values[args[1]], 'g', -1, 64)}, nil
	case len(args) == 3 && args[0] == "set":
		v, err := strconv.ParseFloat(args[2], 64)
		if err != nil {
			return lab.Result{Code: 2, Stderr: []byte(err.Error())}, nil
		}
		w.values[args[1]] = v
		return lab.Result{}, nil
	}
	return lab.Result{Code: 2, Stderr: []byte("usage: fake get NAME | fake set NAME VALUE")}, nil
}

// Values returns all named values that were set.
func (w *World) Values() map[string]float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.values)
}
