package assertions

import (
	"context"
	"fmt"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Process counts the processes of the machine that have everything asked for: name, command line, state and owner.
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
	selects := p.Account != "" || p.Name != "" || p.Cmdline != "" || p.State != "" || p.Stack != ""
	if !selects && p.Count == "at least 1" {
		out = append(out, lab.Problem{Summary: "nothing is asserted",
			Detail: "A machine always has a process, so this assertion could never fail. Say which processes count with account, name, cmdline or state, or how many with count."})
	}
	if len(p.Name) > commLen {
		out = append(out, lab.Problem{Attr: "name", Summary: "longer than any process name",
			Detail: fmt.Sprintf("The kernel keeps %d bytes of a process name, so %q never matches. Write %q, or match the command line with cmdline.", commLen, p.Name, p.Name[:commLen])})
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
	o := lab.Observation{}
	n, memory := 0, int64(0)
	for _, q := range all {
		if !p.counts(q, account) {
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

func (p *Process) counts(q lab.Process, account string) bool {
	return (account == "" || q.Account == account) &&
		(p.Name == "" || q.Name == p.Name) &&
		(p.State == "" || strings.Contains(p.State, q.State)) &&
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
