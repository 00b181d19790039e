package faults

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// The ways in which a start of container_churn dies.
const (
	DiesOfPortTaken    = "port_taken"
	DiesOfPodmanKilled = "podman_killed"
	DiesOfNothing      = "nothing"
)

// ContainerChurn redeploys one service of a stack several times, and each of these starts dies, or none. In each round the account
// creates the container (podman-compose up --no-start), starts it (podman start), and removes it when that failed. In
// the end the cause is taken away, with what a killed start has left listening on the service's ports; the stack is
// brought up as usual (podman-compose up -d), and it works.
//
// Each round is exactly one start. A plain podman-compose up -d of 1.0.3 would be two: it tries again with podman start.
//
// With dies_of = "nothing" a round is a deployment as usual: the container is removed, and podman-compose up -d makes another one,
// which runs.
//
// In force: every start died of what it should die of, by podman's exit code and its message; or, of nothing, every round ended with another
// container than it began with. Healing frees the port, and repairs nothing.
type ContainerChurn struct {
	// The stack that is redeployed.
	Stack lab.StackRef `hcl:"stack" json:"stack"`
	// The service that is redeployed.
	Service lab.ServiceName `hcl:"service" json:"service"`
	// What the starts die of: "port_taken" (another process listens on a port that the service publishes),
	// "podman_killed" (podman gets SIGKILL while it starts the container), or "nothing".
	DiesOf string `hcl:"dies_of" json:"dies_of"`
	// How many starts there are. Default: 3.
	Rounds int `hcl:"rounds,optional" json:"rounds,omitempty"`
	// With port_taken: the port that is taken, on the machine. Default: the first port that the service publishes.
	Port *int `hcl:"port,optional" json:"port,omitempty"`
	// With podman_killed: how long after its start podman is killed. Default: "100ms".
	At lab.Duration `hcl:"at,optional" json:"at,omitempty"`
	// A service that is restarted at the very end, such as the proxy in front. Default: none.
	ThenRestart lab.ServiceName `hcl:"then_restart,optional" json:"then_restart,omitempty"`
}

// Check implements lab.Checker.
func (f *ContainerChurn) Check() []lab.Problem {
	out := checkRounds(f.Rounds)
	switch f.DiesOf {
	case DiesOfPortTaken:
		if f.Port != nil && (*f.Port < 1 || *f.Port > 65535) {
			out = append(out, lab.Problem{Attr: "port", Summary: "no such port",
				Detail: fmt.Sprintf("%d is not a TCP port. Write 1 to 65535, or leave it out for the first port that the service publishes.", *f.Port)})
		}
	case DiesOfPodmanKilled:
		out = append(out, f.noPort()...)
		if f.At.Check() == nil && f.At.Value() <= 0 {
			out = append(out, lab.Problem{Attr: "at", Summary: "killed before it starts",
				Detail: "A time of 0 leaves podman no time to begin. Write when it is killed, such as \"100ms\" after its start."})
		}
	case DiesOfNothing:
		out = append(out, f.noPort()...)
	default:
		out = append(out, lab.Problem{Attr: "dies_of", Summary: "no such death",
			Detail: fmt.Sprintf("%q is not something that a start can die of. Write \"port_taken\", \"podman_killed\" or \"nothing\".", f.DiesOf)})
	}
	return out
}

func (f *ContainerChurn) noPort() []lab.Problem {
	if f.Port == nil {
		return nil
	}
	return []lab.Problem{{Attr: "port", Summary: "setting without effect",
		Detail: "The port matters only with dies_of = \"port_taken\". Remove it."}}
}

// churnEvidence is what Inject leaves in the machine.
type churnEvidence struct {
	DiesOf string  `json:"dies_of"`
	Starts []death `json:"starts"`
}

// death is how one start ended.
type death struct {
	Code int    `json:"code"` // podman's exit code
	Text string `json:"text"` // the line of podman's output that says why
	Died bool   `json:"died"` // of what it should; of nothing: it lives, and is another one
}

func (f *ContainerChurn) evidence() string {
	return "container_churn-" + f.Stack.Name() + "-" + string(f.Service)
}

// Inject implements lab.Breaker.
func (f *ContainerChurn) Inject(ctx context.Context, env lab.Env) error {
	stack, m, err := place(env, f.Stack)
	if err != nil {
		return err
	}
	service, ok := stack.Service(string(f.Service))
	if !ok {
		return fmt.Errorf("cannot redeploy service %q: %s has none of that name", f.Service, f.Stack)
	}
	done := churnEvidence{DiesOf: f.DiesOf}
	if err := keep(ctx, m, f.evidence(), done); err != nil {
		return err
	}
	if f.DiesOf == DiesOfNothing {
		if err := f.deploy(ctx, env, m, stack, service, &done); err != nil {
			return err
		}
		return restart(ctx, env, f.Stack, f.ThenRestart)
	}
	env.Say("%s takes %s down to deploy it again", stack.Account, service.Container)
	if err := remove(ctx, m, stack.Account, service.Container); err != nil {
		return err
	}
	var taken port
	if f.DiesOf == DiesOfPortTaken {
		if taken, err = f.port(service); err != nil {
			return err
		}
		env.Say("another process takes %s", taken)
		if err := taken.take(ctx, m, ""); err != nil {
			return err
		}
	}
	for round := range f.Rounds {
		d, err := f.start(ctx, env, m, stack, service)
		if err != nil {
			return err
		}
		env.Say("start %d of %d of %s: code %d, %s", round+1, f.Rounds, service.Container, d.Code, d.Text)
		done.Starts = append(done.Starts, d)
		if err := keep(ctx, m, f.evidence(), done); err != nil {
			return err
		}
	}
	if f.DiesOf == DiesOfPortTaken {
		env.Say("%s is free again", taken)
		err = taken.free(ctx, m)
	} else {
		err = endLeftovers(ctx, env, m, service)
	}
	if err != nil {
		return err
	}
	env.Say("%s brings the stack up, and it starts", stack.Account)
	// Its exit code is that of the last podman command, which may be about a container that runs already.
	if _, err := env.Compose(ctx, f.Stack, "up", "-d"); err != nil {
		return err
	}
	if err := awaitRunning(ctx, m, stack.Account, service.Container); err != nil {
		return err
	}
	return restart(ctx, env, f.Stack, f.ThenRestart)
}

// deploy is all rounds of starts that live.
func (f *ContainerChurn) deploy(ctx context.Context, env lab.Env, m lab.Running, stack lab.Stack, service lab.Service, done *churnEvidence) error {
	for round := range f.Rounds {
		before, err := containerID(ctx, m, stack.Account, service.Container)
		if err != nil {
			return err
		}
		if err := remove(ctx, m, stack.Account, service.Container); err != nil {
			return err
		}
		if _, err := env.Compose(ctx, f.Stack, "up", "-d"); err != nil { // its exit code is that of the last podman command
			return err
		}
		if err := awaitRunning(ctx, m, stack.Account, service.Container); err != nil {
			return err
		}
		after, err := containerID(ctx, m, stack.Account, service.Container)
		if err != nil {
			return err
		}
		d := death{Died: before != after, Text: fmt.Sprintf("container %.12s, and it was %.12s", after, before)}
		env.Say("%s deployed %s again, %d of %d: %s", stack.Account, service.Container, round+1, f.Rounds, d.Text)
		done.Starts = append(done.Starts, d)
		if err := keep(ctx, m, f.evidence(), *done); err != nil {
			return err
		}
	}
	return nil
}

func containerID(ctx context.Context, m lab.Running, account, container string) (string, error) {
	r, err := do(ctx, m, account, "podman", "inspect", "-f", "{{.Id}}", container)
	return strings.TrimSpace(string(r.Stdout)), err
}

// start is one round: create, start, and remove what did not come up.
func (f *ContainerChurn) start(ctx context.Context, env lab.Env, m lab.Running, stack lab.Stack, service lab.Service) (death, error) {
	if _, err := env.Compose(ctx, f.Stack, "up", "--no-start", service.Name); err != nil {
		return death{}, err
	}
	argv := []string{"podman", "start", service.Container}
	if f.DiesOf == DiesOfPodmanKilled {
		seconds := strconv.FormatFloat(f.At.Value().Seconds(), 'f', -1, 64)
		// timeout kills its whole process group, itself too; the shell around it lives to say so.
		argv = []string{"sh", "-c", `timeout --signal=KILL "$1" podman start "$2"; exit $?`, "sh", seconds, service.Container}
	}
	r, err := try(ctx, m, stack.Account, argv...)
	if err != nil {
		return death{}, err
	}
	if err := remove(ctx, m, stack.Account, service.Container); err != nil {
		return death{}, err
	}
	return f.judge(r), nil
}

// endLeftovers frees the service's ports of what a killed podman has left: its port forwarder may outlive it and the
// container, and then no start succeeds.
func endLeftovers(ctx context.Context, env lab.Env, m lab.Running, service lab.Service) error {
	for _, number := range service.Ports {
		p := port{TCP, number}
		found, err := p.clear(ctx, m)
		if err != nil {
			return err
		}
		if found {
			env.Say("a process that a killed start left behind still listened on %s: it is ended", p)
		}
	}
	return nil
}

const (
	inUse      = "address already in use"
	codeKilled = 128 + 9
)

func (f *ContainerChurn) judge(r lab.Result) death {
	d := death{Code: r.Code}
	if f.DiesOf == DiesOfPodmanKilled {
		d.Died, d.Text = r.Code == codeKilled, "podman was not killed: it had ended before"
		if d.Died {
			d.Text = fmt.Sprintf("podman killed after %s", f.At)
		}
		return d
	}
	d.Text = firstLine(r.Stderr, inUse)
	d.Died = r.Code != 0 && d.Text != ""
	if !d.Died {
		d.Text = "the port was not the reason; " + firstLine(r.Stderr, "")
	}
	return d
}

// Verify implements lab.Breaker.
func (f *ContainerChurn) Verify(ctx context.Context, env lab.Env) error {
	_, m, err := place(env, f.Stack)
	if err != nil {
		return err
	}
	var e churnEvidence
	if err := kept(ctx, m, f.evidence(), &e); err != nil {
		return err
	}
	if e.DiesOf != f.DiesOf || len(e.Starts) != f.Rounds {
		return fmt.Errorf("cannot confirm container_churn: %d of %d starts were made", len(e.Starts), f.Rounds)
	}
	var problems []error
	for i, d := range e.Starts {
		if !d.Died {
			problems = append(problems, fmt.Errorf("cannot confirm container_churn: start %d ended with code %d: %s", i+1, d.Code, d.Text))
		}
	}
	return errors.Join(problems...)
}

// Heal implements lab.Breaker.
func (f *ContainerChurn) Heal(ctx context.Context, env lab.Env) error {
	if f.DiesOf != DiesOfPortTaken {
		return nil // podman was killed; nothing of the fault is left
	}
	stack, m, err := place(env, f.Stack)
	if err != nil {
		return err
	}
	service, _ := stack.Service(string(f.Service))
	taken, err := f.port(service)
	if err != nil {
		return nil // Inject knew no port either, and took none
	}
	return stopUnit(ctx, m, taken.unit())
}

func (f *ContainerChurn) port(s lab.Service) (port, error) {
	if f.Port != nil {
		return port{TCP, *f.Port}, nil
	}
	if len(s.Ports) == 0 {
		return port{}, fmt.Errorf("cannot take a port of service %q: it publishes none; set port", f.Service)
	}
	return port{TCP, s.Ports[0]}, nil
}

// remove takes containers away as people do. One that is not there is fine. A container whose start was killed half-way
// may need a second try: the first says that something is busy, although it has removed what people see.
func remove(ctx context.Context, m lab.Running, account string, containers ...string) error {
	argv := append([]string{"podman", "rm", "-f", "-i", "-t", "1"}, containers...)
	var last error
	err := await(ctx, 15*time.Second, "podman rm must succeed", func() (bool, error) {
		r, err := try(ctx, m, account, argv...)
		last = r.Err(lab.Command{Argv: argv, Account: account})
		return last == nil, err
	})
	return errors.Join(err, last)
}

// awaitRunning waits until podman says that a container runs.
func awaitRunning(ctx context.Context, m lab.Running, account, container string) error {
	return await(ctx, 30*time.Second, "container "+container+" must run", func() (bool, error) {
		r, err := try(ctx, m, account, "podman", "inspect", "-f", "{{.State.Running}}", container)
		return firstLine(r.Stdout, "true") != "", err
	})
}
