package assertions

import (
	"context"
	"fmt"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Process counts the processes of the machine that have everything asked for: name, command line, state, owner, parent and
// container. A zombie, which has ended and was not waited for, is a process too: it has a name, a parent and a cgroup, and no command
// line or memory.
//
// It holds when their number on the newest look is in the limit.
//
// Values: processes, memory (resident, of all of them together, in bytes).
type Process struct {
	// The machine to look at. Either this or stack.
	Machine lab.MachineRef `hcl:"machine,optional" json:"machine,omitempty"`
	// Look at this stack's machine, and count only processes of its account.
	Stack lab.StackRef `hcl:"stack,optional" json:"stack,omitempty"`
	// The owner. Default: anybody, or the stack's account. Processes of a rootless container that run as another user
	// inside it belong to nobody of the machine.
	Account lab.AccountName `hcl:"account,optional" json:"account,omitempty"`
	// The name that ps -o comm shows: at most 15 bytes.
	Name string `hcl:"name,optional" json:"name,omitempty"`
	// A pattern for the command line, its arguments joined by spaces.
	Cmdline lab.Pattern `hcl:"cmdline,optional" json:"cmdline,omitempty"`
	// The states that count, as the letters that ps shows: "Z" for zombies, "RS" for running or sleeping.
	State string `hcl:"state,optional" json:"state,omitempty"`
	// The name of the parent: whose zombies, say.
	Parent string `hcl:"parent,optional" json:"parent,omitempty"`
	// A service of the stack: only the processes of its container count. Without a running container there are none.
	Service lab.ServiceName `hcl:"service,optional" json:"service,omitempty"`
	// A pattern for the cgroup v2 path, as "/nginx\\.service$". Inside a machine it begins at the machine's own root.
	Cgroup lab.Pattern `hcl:"cgroup,optional" json:"cgroup,omitempty"`
	// How many there must be. Default: "at least 1".
	Count lab.Limit `hcl:"count,optional" json:"count,omitempty"`
}

// processStates are the letters that /proc/PID/stat can show.
const processStates = "RSDZTtXxKWPI"

// commLen is the longest name that the kernel keeps, in bytes.
const commLen = 15

// Check implements lab.Checker.
func (p *Process) Check() []lab.Problem {
	out := checkCount(p.Count)
	selects := p.Account != "" || p.Name != "" || p.Cmdline != "" || p.State != "" || p.Parent != "" || p.Cgroup != "" || p.Stack != ""
	if !selects && p.Count == "at least 1" {
		out = append(out, lab.Problem{Summary: "nothing is asserted",
			Detail: "A machine always has a process, so this assertion could never fail. Say which processes count with account, name, cmdline, state, parent or cgroup, or how many with count."})
	}
	if len(p.Name) > commLen {
		out = append(out, lab.Problem{Attr: "name", Summary: "longer than any process name",
			Detail: fmt.Sprintf("The kernel keeps %d bytes of a process name, so %q never matches. Write %q, or match the command line with cmdline.", commLen, p.Name, p.Name[:commLen])})
	}
	if len(p.Parent) > commLen {
		out = append(out, lab.Problem{Attr: "parent", Summary: "longer than any process name",
			Detail: fmt.Sprintf("The kernel keeps %d bytes of a process name, so %q never matches. Write %q.", commLen, p.Parent, p.Parent[:commLen])})
	}
	if p.Service != "" && p.Stack == "" {
		out = append(out, lab.Problem{Attr: "service", Summary: "a service of no stack",
			Detail: "A service is found by its stack. Set stack, in the place of machine."})
	}
	for _, r := range p.State {
		if !strings.ContainsRune(processStates, r) {
			out = append(out, lab.Problem{Attr: "state", Summary: "no such process state",
				Detail: fmt.Sprintf("%q is not a letter that ps shows for a state. Common ones are R running, S sleeping, D waiting for the disk, T stopped and Z zombie.", string(r))})
		}
	}
	if (p.Stack == "") == (p.Machine == "") {
		out = append(out, onePlace())
	}
	return out
}

// Limits implements lab.Limiter.
func (*Process) Limits() []string { return []string{"count"} }

// Numbers implements lab.Numbered.
func (*Process) Numbers() []string { return []string{"processes", "memory"} }

// Observe implements lab.Observer.
func (p *Process) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	account := string(p.Account)
	if p.Stack != "" {
		stack, ok := at.Stack(p.Stack)
		if !ok {
			return lab.Observation{}, fmt.Errorf("cannot find %s on this machine", p.Stack)
		}
		if account == "" {
			account = stack.Account
		}
	}
	all, err := at.Processes(ctx)
	if err != nil {
		return lab.Observation{}, err
	}
	inside, err := p.container(ctx, at, all)
	if err != nil {
		return lab.Observation{}, err
	}
	names := map[int]string{}
	for _, q := range all {
		names[q.PID] = q.Name
	}
	o := lab.Observation{}
	n, memory := 0, int64(0)
	for _, q := range all {
		if !p.counts(q, account) || (p.Parent != "" && names[q.PPID] != p.Parent) || !inside(q) {
			continue
		}
		memory += q.Memory
		if n++; n <= 20 {
			o.Lines = append(o.Lines, fmt.Sprintf("%d %s %s %s", q.PID, q.Account, q.State, describe(q)))
		}
	}
	o.Lines = clip(o.Lines)
	o.Values = map[string]float64{"processes": float64(n), "memory": float64(memory)}
	o.Summary = fmt.Sprintf("%d processes", n)
	if n == 1 {
		o.Summary = "1 process"
	}
	return o, nil
}

// container returns what says whether a process is in the service's container: in the cgroup of its first process, or below.
func (p *Process) container(ctx context.Context, at lab.Place, all []lab.Process) (func(lab.Process) bool, error) {
	if p.Service == "" {
		return func(lab.Process) bool { return true }, nil
	}
	stack, s, err := service(at, p.Stack, p.Service)
	if err != nil {
		return nil, err
	}
	containers, err := at.Containers(ctx, stack.Account)
	if err != nil {
		return nil, err
	}
	first := map[int]bool{}
	for _, c := range containers {
		if c.Name == s.Container && c.PID != 0 {
			first[c.PID] = true
		}
	}
	cgroup := ""
	for _, q := range all {
		if first[q.PID] {
			cgroup = q.Cgroup
		}
	}
	return func(q lab.Process) bool {
		return cgroup != "" && (q.Cgroup == cgroup || strings.HasPrefix(q.Cgroup, cgroup+"/"))
	}, nil
}

func (p *Process) counts(q lab.Process, account string) bool {
	return (account == "" || q.Account == account) &&
		(p.Name == "" || q.Name == p.Name) &&
		(p.State == "" || strings.Contains(p.State, q.State)) &&
		(p.Cgroup == "" || p.Cgroup.Regexp().MatchString(q.Cgroup)) &&
		(p.Cmdline == "" || p.Cmdline.Regexp().MatchString(strings.Join(q.Cmdline, " ")))
}

// describe is the command line, or the name in brackets where there is none, as ps does it.
func describe(q lab.Process) string {
	if len(q.Cmdline) == 0 {
		return "[" + q.Name + "]"
	}
	return strings.Join(q.Cmdline, " ")
}

// Holds implements lab.Observer.
func (p *Process) Holds(history []lab.Observation) bool {
	return p.Count.Holds(last(history).Values["processes"])
}
