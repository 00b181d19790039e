package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// RunID names one run, on disk and on everything that it makes on the host.
type RunID string

// Driver runs machines.
type Driver interface {
	// Name is what --driver takes.
	Name() string
	// Prepare builds or finds what the lab's machines need, once per variant; it may take minutes and reports
	// through say. Calling it again is cheap.
	Prepare(ctx context.Context, l *Lab, say func(format string, args ...any)) error
	// Start returns a machine whose agent answers. On error nothing is left behind. The lab must be prepared.
	Start(ctx context.Context, run RunID, l *Lab, m Machine) (Running, error)
}

// Running is a machine that has been started.
type Running interface {
	Ref() MachineRef
	// Run executes a command. A non-zero exit is a Result, not an error; an error means that the command could
	// not be run, or that the machine was lost. Cancelling ctx kills the command and what it started.
	Run(ctx context.Context, cmd Command) (Result, error)
	// Put writes a file, whole or not at all.
	Put(ctx context.Context, f File) error
	// Watch has the machine observe a probe until ctx ends, and calls each for every observation, in order. It
	// returns nil when ctx ended, and an error when the machine was lost.
	Watch(ctx context.Context, p Probe, each func(Observation)) error
	// Clock returns the machine's clock minus the host's, to within half of a round trip.
	Clock(ctx context.Context) (time.Duration, error)
	// Console returns the last lines of the machine's console, for the message that says why it did not come up.
	Console(ctx context.Context) (string, error)
	// Destroy removes the machine and all that belongs to it. Twice is fine.
	Destroy(ctx context.Context) error
}

// Hypervisor is implemented by drivers whose machines have processors of their own.
type Hypervisor interface {
	// Processors is how many a machine has.
	Processors(m Machine) int
}

// Waiter is implemented by machines with processors of their own, whose waiting for the host's processors the host counts.
type Waiter interface {
	// Waited returns, for each of the machine's processors, for how long in all it could have run and the host ran
	// something else. It is cheap: it is asked many times a second.
	Waited() ([]time.Duration, error)
}

// Snapshotter is implemented by drivers that can save the machines of a lab, all at one moment, and start them again from
// there. What is saved belongs to the driver, which keeps it where a later run may find it. The key names everything of the
// lab that the saved state depends on; the driver adds what it depends on itself (images, kernel, hypervisor, agent).
type Snapshotter interface {
	// Save saves the machines of the lab, as Start returned them to this run, and ends them: when it has returned they
	// are destroyed. Saving under a key that is there already, by another process say, keeps what is there. ErrNoSnapshot
	// means that these machines cannot be saved: nothing was done to them, and they go on.
	Save(ctx context.Context, run RunID, l *Lab, key string, machines []Running) error
	// Restore returns the lab's machines, in the lab's order, alive and at the state that was saved: their agents answer,
	// their clocks are right. It may be called any number of times, by several runs at once. On error nothing is
	// left behind; ErrNoSnapshot means that nothing is saved that this run can start from.
	Restore(ctx context.Context, run RunID, l *Lab, key string) ([]Running, error)
}

// Loader is implemented by drivers that can do ahead of time what a restore waits for.
type Loader interface {
	// Load has the machines of a lab ready for a run of which no machine is there, stopped at the state that was saved, or
	// once their agents answered. The run's next Restore of the same snapshot, which must not begin before, lets them go on. What
	// turns out not to be wanted goes with that Restore, or with the run. Its errors are those of Restore.
	Load(ctx context.Context, run RunID, l *Lab, key string) error
}

// Forgetter is implemented by drivers that can remove what they have saved.
type Forgetter interface {
	// Passing says before Save that what will be saved under a key goes with the run: also when the run is killed, and somebody
	// else cleans up after it.
	Passing(ctx context.Context, run RunID, l *Lab, key string) error
	// Forget removes what this run has saved under a key. Nobody may be starting from it; that there is nothing is no error.
	Forget(ctx context.Context, run RunID, l *Lab, key string) error
}

// ErrNoSnapshot is what Restore answers when machines have to be started afresh, and Save when they always have to be.
var ErrNoSnapshot = errors.New("there is no snapshot")

// Command is one command in a machine.
type Command struct {
	Argv    []string
	Account string // whose session to run it in, as the account is declared; empty: root, in no session
	Dir     string // empty: the account's home
	Env     []string
	Stdin   io.Reader // nil: empty
	Stdout  io.Writer // nil: kept in Result.Stdout
	Stderr  io.Writer // nil: kept in Result.Stderr
	TTY     *TTY      // nil: pipes; with a terminal all output goes to Stdout
}

// TTY asks for a terminal of the given size. Sizes received on Resize are applied while the command runs.
type TTY struct {
	Term       string
	Rows, Cols uint16
	Resize     <-chan [2]uint16 // rows, columns
}

// Result is how a command ended.
type Result struct {
	Code   int    // exit code; 128+n when signal n killed it
	Signal string // "SIGKILL" when a signal killed it
	Stdout []byte
	Stderr []byte
	Took   time.Duration
}

// Err is nil for exit code 0; otherwise it names the command, its code and the last of what it printed.
func (r Result) Err(cmd Command) error {
	if r.Code == 0 {
		return nil
	}
	return &ExitError{Command: cmd, Result: r}
}

// ExitError is a command that ended with a code other than 0, where 0 was needed.
type ExitError struct {
	Command Command
	Result  Result
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%q as %s ended with code %d%s", e.Command.Argv, or(e.Command.Account, "root"), e.Result.Code, tail(e.Result))
}

func tail(r Result) string {
	out := r.Stderr
	if len(out) == 0 {
		out = r.Stdout
	}
	const most = 2000
	if len(out) > most {
		out = out[len(out)-most:]
	}
	if len(out) == 0 {
		return ""
	}
	return ":\n" + string(out)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// File is a file to write into a machine.
type File struct {
	Path  string // absolute; missing folders are made, with the same owner and mode 0755
	Data  []byte
	Mode  fs.FileMode
	Owner string // an account; empty: root
}

// Probe is an assertion on its way into a machine.
type Probe struct {
	Address  string          `json:"address"`
	Kind     string          `json:"kind"`
	Settings json.RawMessage `json:"settings"`
	Every    time.Duration   `json:"every"`
	Timeout  time.Duration   `json:"timeout"` // of one look
	Stacks   []Stack         `json:"stacks,omitempty"`
}

// Requirement is one thing that a room needs of the host.
type Requirement struct {
	Name   string                          // "podman"
	Needed string                          // by what: "driver container"
	Fix    string                          // a command to copy
	Check  func(ctx context.Context) error // nil: there; an error says what is missing
}
