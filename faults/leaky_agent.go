package faults

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// LeakyAgent drives an agent: it runs a client program again and again, at a rate, so that what the agent loses a little of
// each time is lost in seconds and not in weeks. It goes on in the background until count is reached or the fault is healed.
//
// The agent is a service of a stack, which runs already or is started, or a program that is started on a machine.
//
// In force: the agent runs, and the client program succeeds again and again. Healing ends the client and an agent that
// was started by the fault; a service that ran before goes on.
type LeakyAgent struct {
	// The stack that the agent belongs to. Either this and service, or machine and argv.
	Stack lab.StackRef `hcl:"stack,optional" json:"stack,omitempty"`
	// The service that is the agent.
	Service lab.ServiceName `hcl:"service,optional" json:"service,omitempty"`
	// The machine to start the agent on.
	Machine lab.MachineRef `hcl:"machine,optional" json:"machine,omitempty"`
	// The account that runs the agent and the client on machine. Default: root.
	Account lab.AccountName `hcl:"account,optional" json:"account,omitempty"`
	// The agent and its arguments, without a shell.
	Argv []string `hcl:"argv,optional" json:"argv,omitempty"`
	// The client program and its arguments, without a shell. It runs on the agent's machine as the stack's account or as
	// account, in the background of its session, and ends with code 0 when all went well.
	Drive []string `hcl:"drive" json:"drive"`
	// How many events each run of the client makes: requests, say. Default: 1.
	Batch int `hcl:"batch,optional" json:"batch,omitempty"`
	// How many events are made in a second. A client that is too slow makes fewer.
	PerSecond float64 `hcl:"per_second" json:"per_second"`
	// How many events are made in all. Default: as many as it takes, until the fault is healed.
	Count int `hcl:"count,optional" json:"count,omitempty"`
	// How many runs of the client go on side by side at most. Default: 1.
	Clients int `hcl:"clients,optional" json:"clients,omitempty"`
}

// Check implements lab.Checker.
func (f *LeakyAgent) Check() []lab.Problem {
	var out []lab.Problem
	say := func(attr, summary, detail string) {
		out = append(out, lab.Problem{Attr: attr, Summary: summary, Detail: detail})
	}
	service := f.Stack != "" || f.Service != ""
	program := f.Machine != "" || f.Account != "" || len(f.Argv) > 0
	switch {
	case service == program:
		say("", "one agent is needed", "The agent is either a service of a stack (stack and service), or a program on a machine (machine and argv). Write one of the two.")
	case service && (f.Stack == "" || f.Service == ""):
		say("", "half an agent", "A service is found by its stack and its name. Set both stack and service.")
	case program && (f.Machine == "" || len(f.Argv) == 0):
		say("", "half an agent", "A program is started on a machine. Set both machine and argv.")
	}
	if len(f.Drive) == 0 {
		say("drive", "nothing drives the agent", "An agent that nobody asks does nothing. Write the client program and its arguments as a list.")
	}
	if !(f.PerSecond > 0 && f.PerSecond <= 1e6) {
		say("per_second", "no rate", "Write how many events are made in a second: more than 0, and a million at most.")
	}
	for _, n := range []struct {
		attr  string
		value int
		least int
	}{{"batch", f.Batch, 1}, {"clients", f.Clients, 1}, {"count", f.Count, 0}} {
		if n.value < n.least {
			say(n.attr, "too few", fmt.Sprintf("Write %d or more, or leave it out.", max(n.least, 1)))
		}
	}
	return out
}

// drivePatience is how long the client may take until it has succeeded, and until it has again.
const drivePatience = 30 * time.Second

// drive.pl paces the client inside the machine, so that neither the host nor the way there limits the rate.
//
//go:embed drive.pl
var drivePL []byte

// driven is how far the client is, as drive.pl writes it.
type driven struct {
	Events int  `json:"events"` // of runs that ended with code 0
	Failed int  `json:"failed"` // events of runs that did not
	Code   int  `json:"code"`   // of the last of those
	Done   bool `json:"done"`   // count is reached
}

// agentEvidence is what Inject leaves in the machine.
type agentEvidence struct {
	Started bool `json:"started"` // the fault started the agent
}

// agent is the agent's place, with the names of what the fault makes there.
type agent struct {
	m       lab.Running
	account string
	service lab.Service // none: a program
	name    string
}

func (f *LeakyAgent) find(env lab.Env) (agent, error) {
	if f.Stack == "" {
		m, err := env.Machine(f.Machine)
		return agent{m: m, account: string(f.Account), name: or(string(f.Account), "root") + "-" + path.Base(f.Argv[0])}, err
	}
	stack, m, err := place(env, f.Stack)
	if err != nil {
		return agent{}, err
	}
	service, ok := stack.Service(string(f.Service))
	if !ok {
		return agent{}, fmt.Errorf("cannot drive service %q: %s has none of that name", f.Service, f.Stack)
	}
	return agent{m: m, account: stack.Account, service: service, name: stack.Name + "-" + service.Name}, nil
}

func (a agent) program() job     { return job{a.m, a.account, "saigen-agent-" + a.name + ".service"} }
func (a agent) client() job      { return job{a.m, a.account, "saigen-drive-" + a.name + ".service"} }
func (a agent) evidence() string { return "leaky_agent-" + a.name }

// progress is a file in a folder that belongs to the account, which the client's pacer writes.
func (a agent) progress() string { return folder + "/drive-" + a.name + "/progress" }

// Inject implements lab.Breaker.
func (f *LeakyAgent) Inject(ctx context.Context, env lab.Env) error {
	a, err := f.find(env)
	if err != nil {
		return err
	}
	if err := f.begin(ctx, env, a); err != nil {
		return err
	}
	pacer := folder + "/drive.pl"
	if err := a.m.Put(ctx, lab.File{Path: pacer, Data: drivePL, Mode: 0o755}); err != nil {
		return err
	}
	for _, name := range []string{a.progress(), a.progress() + ".err"} {
		if err := a.m.Put(ctx, lab.File{Path: name, Mode: 0o644, Owner: a.account}); err != nil {
			return err
		}
	}
	env.Say("%s, %s events in a second, %d at each run", strings.Join(f.Drive, " "), number(f.PerSecond), f.Batch)
	argv := []string{"perl", pacer, a.progress(), number(f.PerSecond), strconv.Itoa(f.Count), strconv.Itoa(f.Batch), strconv.Itoa(f.Clients)}
	return a.client().start(ctx, append(argv, f.Drive...)...)
}

// begin has the agent running, and remembers whether that was the fault's work.
func (f *LeakyAgent) begin(ctx context.Context, env lab.Env, a agent) error {
	if f.Stack == "" {
		env.Say("%s is started", strings.Join(f.Argv, " "))
		return a.program().start(ctx, f.Argv...)
	}
	runs, err := a.serviceRuns(ctx)
	if err != nil {
		return err
	}
	if err := keep(ctx, a.m, a.evidence(), agentEvidence{Started: !runs}); err != nil || runs {
		return err
	}
	env.Say("service %s is started", a.service.Name)
	if err := compose(ctx, env, f.Stack, "up", "-d", a.service.Name); err != nil {
		return err
	}
	return awaitRunning(ctx, a.m, a.account, a.service.Container)
}

func (a agent) serviceRuns(ctx context.Context) (bool, error) {
	r, err := try(ctx, a.m, a.account, "podman", "inspect", "-f", "{{.State.Running}}", a.service.Container)
	return firstLine(r.Stdout, "true") != "", err
}

// Verify implements lab.Breaker.
func (f *LeakyAgent) Verify(ctx context.Context, env lab.Env) error {
	a, err := f.find(env)
	if err != nil {
		return err
	}
	if f.Stack == "" {
		if err := a.program().alive(ctx); err != nil {
			return fmt.Errorf("cannot confirm leaky_agent: %w", err)
		}
	} else if runs, err := a.serviceRuns(ctx); err != nil || !runs {
		return fmt.Errorf("cannot confirm leaky_agent: container %s does not run (%v)", a.service.Container, err)
	}
	first, err := f.moved(ctx, a, 0)
	if err != nil || first.Done {
		return err
	}
	_, err = f.moved(ctx, a, first.Events)
	return err
}

// moved waits until the client has made more events than that, or all of them.
func (f *LeakyAgent) moved(ctx context.Context, a agent, than int) (driven, error) {
	var d driven
	what := fmt.Sprintf("%q must have made more than %d events", strings.Join(f.Drive, " "), than)
	err := await(ctx, drivePatience, what, func() (bool, error) {
		alive := a.client().alive(ctx) // asked before what it has written is read: it may end in between
		r, err := do(ctx, a.m, "", "cat", a.progress())
		if err != nil {
			return false, err
		}
		if len(r.Stdout) > 0 { // the pacer has written it
			if err := json.Unmarshal(r.Stdout, &d); err != nil {
				return false, fmt.Errorf("cannot read %s: %w", a.progress(), err)
			}
		}
		switch {
		case d.Events > than || d.Done && d.Events > 0:
			return true, nil
		case d.Done:
			return false, fmt.Errorf("every run failed, the last with code %d", d.Code)
		}
		return false, alive
	})
	if err != nil {
		return d, fmt.Errorf("cannot confirm leaky_agent: %w; %d events made, %d failed%s", err, d.Events, d.Failed, a.complaint(ctx))
	}
	return d, nil
}

// complaint is the last that the client said on stderr.
func (a agent) complaint(ctx context.Context) string {
	r, err := try(ctx, a.m, "", "tail", "-n", "3", a.progress()+".err")
	if text := strings.TrimSpace(string(r.Stdout)); err == nil && text != "" {
		return ": " + text
	}
	return ""
}

// Heal implements lab.Breaker.
func (f *LeakyAgent) Heal(ctx context.Context, env lab.Env) error {
	a, err := f.find(env)
	if err != nil {
		return err
	}
	if err := a.client().stop(ctx); err != nil {
		return err
	}
	if f.Stack == "" {
		return a.program().stop(ctx)
	}
	r, err := try(ctx, a.m, "", "test", "-e", evidencePath(a.evidence()))
	if err != nil || r.Code != 0 {
		return err // Inject did not come that far
	}
	var e agentEvidence
	if err := kept(ctx, a.m, a.evidence(), &e); err != nil || !e.Started {
		return err
	}
	_, err = do(ctx, a.m, a.account, "podman", "stop", "-i", "-t", "1", a.service.Container)
	return err
}

// number is a number as people write it.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
