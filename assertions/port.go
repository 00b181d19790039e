package assertions

import (
	"context"
	"fmt"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Port looks who holds a port of the machine: which processes listen on it, whose they are, and whether it is the port of a container.
//
// All settings must hold for one holder together, on the newest look. A container is an orphan when it runs and podman does not know that
// it does: podman ps says that it was created and nothing more, or does not list it at all. That is read from the kernel and from the
// files of podman and its runtime, so that looking starts no podman, which could repair what is being watched.
//
// Values: holders (processes that hold the port), matching (of them, those for which the settings hold), orphans.
type Port struct {
	// The machine to look at.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// The port.
	Port int `hcl:"port" json:"port"`
	// "tcp" or "udp". Default: "tcp".
	Protocol string `hcl:"protocol,optional" json:"protocol,omitempty"`
	// What must hold it: "anybody", "nobody", "container" (one that podman runs), "orphan" (a container that runs without podman
	// knowing it) or "process" (something that is no container's). Default: "anybody".
	Holder string `hcl:"holder,optional" json:"holder,omitempty"`
	// The name of the container, with "container" or "orphan".
	Container string `hcl:"container,optional" json:"container,omitempty"`
	// The owner of the process.
	Account lab.AccountName `hcl:"account,optional" json:"account,omitempty"`
	// The name of the process, as ps -o comm shows it: at most 15 bytes.
	Name string `hcl:"name,optional" json:"name,omitempty"`
	// A pattern for the cgroup of the process, as "^/user\\.slice/user-0\\.slice/".
	Cgroup lab.Pattern `hcl:"cgroup,optional" json:"cgroup,omitempty"`
}

// What can hold a port.
const (
	HolderAnybody   = "anybody"
	HolderNobody    = "nobody"
	HolderContainer = "container"
	HolderOrphan    = "orphan"
	HolderProcess   = "process"
)

// Check implements lab.Checker.
func (p *Port) Check() []lab.Problem {
	var out []lab.Problem
	if p.Port < 1 || p.Port > 65535 {
		out = append(out, lab.Problem{Attr: "port", Summary: "no such port", Detail: fmt.Sprintf("%d is not a port. Write 1 to 65535.", p.Port)})
	}
	if p.Protocol != "tcp" && p.Protocol != "udp" {
		out = append(out, lab.Problem{Attr: "protocol", Summary: "no such protocol",
			Detail: fmt.Sprintf("%q has no ports here. Write \"tcp\" or \"udp\", or leave it out for \"tcp\".", p.Protocol)})
	}
	switch p.Holder {
	case HolderAnybody, HolderContainer, HolderOrphan, HolderProcess:
	case HolderNobody:
		if p.Container != "" || p.Account != "" || p.Name != "" || p.Cgroup != "" {
			out = append(out, lab.Problem{Attr: "holder", Summary: "nobody with a name",
				Detail: "When nobody holds the port there is no process to compare. Leave container, account, name and cgroup out."})
		}
	default:
		out = append(out, lab.Problem{Attr: "holder", Summary: "no such holder",
			Detail: fmt.Sprintf("%q cannot be told apart. Write \"anybody\", \"nobody\", \"container\", \"orphan\" or \"process\".", p.Holder)})
	}
	if p.Container != "" && p.Holder != HolderContainer && p.Holder != HolderOrphan && p.Holder != HolderNobody {
		out = append(out, lab.Problem{Attr: "container", Summary: "container without a state",
			Detail: "A container that holds a port is one that podman runs or one that it has lost. Set holder to \"container\" or \"orphan\"."})
	}
	if len(p.Name) > commLen {
		out = append(out, lab.Problem{Attr: "name", Summary: "longer than any process name",
			Detail: fmt.Sprintf("The kernel keeps %d bytes of a process name, so %q never matches. Write %q.", commLen, p.Name, p.Name[:commLen])})
	}
	return out
}

// Limits implements lab.Limiter: which holders match is counted where one looks.
func (*Port) Limits() []string { return nil }

// Numbers implements lab.Numbered.
func (*Port) Numbers() []string { return []string{"holders", "matching", "orphans"} }

// Observe implements lab.Observer.
func (p *Port) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	all, err := at.Listeners(ctx, p.Protocol, uint16(p.Port))
	if err != nil {
		return lab.Observation{}, err
	}
	o := lab.Observation{Summary: "nobody"}
	holders, matching, orphans := 0, 0, 0
	for _, l := range all {
		// A socket that no process has open holds the port all the same.
		processes := l.Processes
		if len(processes) == 0 {
			processes = []lab.Process{{Name: "kernel", Account: "root"}}
		}
		for _, q := range processes {
			holders++
			if l.Container != nil && l.Container.Orphan {
				orphans++
			}
			if p.matches(l, q) {
				matching++
			}
			o.Summary = whose(l, q)
			o.Lines = append(o.Lines, fmt.Sprintf("%s %d %s of %s in %s: %s", l.Address, q.PID, q.Name, q.Account, q.Cgroup, o.Summary))
		}
	}
	o.Lines = clip(o.Lines)
	o.Values = map[string]float64{"holders": float64(holders), "matching": float64(matching), "orphans": float64(orphans)}
	return o, nil
}

func (p *Port) matches(l lab.Listener, q lab.Process) bool {
	c := l.Container
	switch p.Holder {
	case HolderNobody:
		return false
	case HolderContainer:
		if c == nil || c.Orphan {
			return false
		}
	case HolderOrphan:
		if c == nil || !c.Orphan {
			return false
		}
	case HolderProcess:
		if c != nil {
			return false
		}
	}
	return (p.Container == "" || c != nil && c.Name == p.Container) &&
		(p.Account == "" || q.Account == string(p.Account)) &&
		(p.Name == "" || q.Name == p.Name) &&
		(p.Cgroup == "" || p.Cgroup.Regexp().MatchString(q.Cgroup))
}

// whose says in a few words who holds a port.
func whose(l lab.Listener, q lab.Process) string {
	switch c := l.Container; {
	case c == nil:
		return strings.TrimSpace("process " + q.Name + " of " + q.Account)
	case c.Orphan:
		return fmt.Sprintf("orphan of container %s of %s", c.Name, c.Account)
	default:
		return fmt.Sprintf("container %s of %s", c.Name, c.Account)
	}
}

// Holds implements lab.Observer.
func (p *Port) Holds(history []lab.Observation) bool {
	v := last(history).Values
	if p.Holder == HolderNobody {
		return v["holders"] == 0
	}
	return v["matching"] > 0
}
