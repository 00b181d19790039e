package lab

import (
	"context"
	"net/netip"
	"time"
)

// Kind is one kind of fault or assertion: its name, and a constructor that returns its settings with the defaults
// filled in. T is Breaker or Observer; the constructor returns a pointer to a struct with hcl and json tags.
type Kind[T any] struct {
	Name string
	New  func() T
}

// Breaker is a fault: one change that is injected, verified to be in force, and healed.
type Breaker interface {
	// Inject makes the change. It returns when the change is complete.
	Inject(ctx context.Context, env Env) error
	// Verify says whether the change is really in force. nil: yes. An error makes the run inconclusive.
	Verify(ctx context.Context, env Env) error
	// Heal takes back what of the fault is still there: after half an Inject, twice, and from another process.
	// It does not repair what the incident broke: that is the remedy's work.
	Heal(ctx context.Context, env Env) error
}

// Observer is an assertion. Its settings travel to the machine, where Observe runs; Holds runs where the verdict is made.
type Observer interface {
	// Observe looks once. An error means: could not look. A refused connection or a missing answer is an
	// observation, not an error, when that is what a user of the stack would have seen.
	Observe(ctx context.Context, at Place) (Observation, error)
	// Holds says whether the assertion holds at the end of history: the observations of one phase so far,
	// oldest first, without those that could not look; never empty. It is pure, so evidence can be judged again.
	Holds(history []Observation) bool
}

// Checker is implemented by kinds whose settings can be wrong in ways their types do not show.
type Checker interface {
	// Check returns what is wrong with the settings. An assertion that could never fail is wrong.
	Check() []Problem
}

// Explainer is implemented by assertions that judge many observations together.
type Explainer interface {
	// Explain says in a few words what the observations show together. history is as for Holds.
	Explain(history []Observation) string
}

// Doubter is implemented by assertions that must have seen enough before it can be said that they do not hold.
type Doubter interface {
	// Doubt says what is missing, in a few words, when history is too little; empty: it decides. history is as for Holds.
	Doubt(history []Observation) string
}

// Measurer is implemented by assertions that get numbers from many observations together.
type Measurer interface {
	// Measure returns them by name. history is as for Holds. Without it, the numbers of an assertion are the Values of its
	// newest observation.
	Measure(history []Observation) map[string]float64
}

// Numbered is implemented by assertions that can say beforehand which numbers they have: a figure of any other is a mistake.
type Numbered interface {
	// Numbers names them: the keys of what Measure returns, or of Values.
	Numbers() []string
}

// Patient is implemented by assertions whose looks may take long by their settings.
type Patient interface {
	// Longest is the time after which a look has gone wrong.
	Longest() time.Duration
}

// Limiter is implemented by assertions with settings that matter only when observations are judged. All their other
// settings, and all settings of the other kinds, are the way of looking: with others it would have been another probe.
type Limiter interface {
	// Limits names those settings; "a.b" is setting b of the nested block a.
	Limits() []string
}

// Chooser is implemented by a nested block of a kind's settings that holds the settings of another kind, as in
// of "http" "seconds" { … }: its first label says which. The other labels are fields of the block itself.
type Chooser interface {
	// Choose makes the settings of that kind with their defaults, keeps them, and returns them to be filled. false: it cannot
	// be of that kind.
	Choose(kind string) (settings any, ok bool)
	// Choices lists the kinds that it can be of.
	Choices() []string
}

// Problem is one mistake in the settings of a kind.
type Problem struct {
	Attr    string // the guilty attribute; empty: the block
	Summary string // short, no user names in it
	Detail  string // full sentences: what, why it matters, what to do
}

// Observation is one look of one assertion.
type Observation struct {
	At   time.Time     `json:"at"`             // the machine's clock when the look began
	Took time.Duration `json:"took"`           // nanoseconds
	Late time.Duration `json:"late,omitempty"` // how long the host kept the machine from looking, at the start or meanwhile, in nanoseconds
	// Stepped is by how much the machine's clock had been set since the watch began, in nanoseconds. At is as if it had not been.
	Stepped time.Duration      `json:"stepped,omitempty"`
	Values  map[string]float64 `json:"values,omitempty"`
	Lines   []string           `json:"lines,omitempty"` // evidence as text: addresses, log lines
	Summary string             `json:"summary,omitempty"`
	Err     string             `json:"error,omitempty"` // set: could not look, and nothing above but the times counts
}

// Place is what an Observer sees of the machine it runs in. Names of stacks and services are those of the lab.
type Place interface {
	// Stack finds a stack of this machine.
	Stack(StackRef) (Stack, bool)
	// Run executes a command as Machine.Run does.
	Run(ctx context.Context, cmd Command) (Result, error)
	// Containers lists an account's podman containers, from podman's files and the kernel; no podman is started.
	Containers(ctx context.Context, account string) ([]Container, error)
	// Logs returns what containers of that name have written since a time, oldest first, removed containers included.
	Logs(ctx context.Context, account, container string, since time.Time) ([]LogLine, error)
	// Within calls f on a thread that is in the container's network namespace.
	Within(c Container, f func() error) error
	// Processes lists the machine's processes.
	Processes(ctx context.Context) ([]Process, error)
	// Listeners lists the sockets that wait at a port of the machine's own network: listening ones of "tcp", bound ones of "udp".
	Listeners(ctx context.Context, protocol string, port uint16) ([]Listener, error)
}

// Container is a podman container of one account.
type Container struct {
	ID        string
	Name      string
	PID       int          // of its first process; 0 when it does not run
	Addresses []netip.Addr // in its network namespace, loopback and link-local apart; empty when it does not run
	Created   time.Time
}

// LogLine is one line of a container's log.
type LogLine struct {
	At   time.Time
	Text string
}

// Process is one process of the machine, as /proc shows it.
type Process struct {
	PID, PPID int
	Name      string // comm
	Cmdline   []string
	State     string // one letter, as ps shows it
	Account   string // the owner's name
	Cgroup    string
	Memory    int64 // resident, in bytes
}

// Listener is a socket that waits at a port.
type Listener struct {
	Address   netip.AddrPort
	Processes []Process        // who have it open
	Container *ServedContainer // whose port it is; nil: no container's
}

// ServedContainer is the container to which a port leads.
type ServedContainer struct {
	ID, Name string
	Account  string
	Orphan   bool // it runs, and podman does not know that it does
}

// Env is what a fault may use.
type Env interface {
	Machine(MachineRef) (Running, error)
	Stack(StackRef) (Stack, error)
	// Compose runs podman-compose on a stack, as its account and in its folder.
	Compose(ctx context.Context, stack StackRef, args ...string) (Result, error)
	// File reads a file of the lab's folder.
	File(Path) ([]byte, error)
	// Say reports one step to whoever watches the run.
	Say(format string, args ...any)
}
