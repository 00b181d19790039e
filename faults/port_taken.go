package faults

import (
	"context"
	"fmt"

	"github.com/saigen-lab/saigen/lab"
)

// PortTaken has another process of the machine take a port, on all its IPv4 addresses, and hold it until the fault is healed.
//
// A port that somebody has already is not taken from him: the injection fails when it does not become free within 20 s. To have a stack meet the
// taken port, name it in redeploy.
//
// In force: the process runs, and the machine refuses the port to another one that binds it (EADDRINUSE). Healing ends the process; it
// starts nothing that failed meanwhile.
type PortTaken struct {
	// The machine whose port is taken.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// The port.
	Port int `hcl:"port" json:"port"`
	// The port's protocol, "tcp" or "udp". Default: "tcp".
	Protocol string `hcl:"protocol,optional" json:"protocol,omitempty"`
	// The account whose process takes it. Default: root.
	Account lab.AccountName `hcl:"account,optional" json:"account,omitempty"`
	// A stack of the same machine that is taken down before (podman-compose down), and brought up as usual when the port is taken
	// (podman-compose up -d): how that ends is not looked at. Default: none; what runs goes on.
	Redeploy lab.StackRef `hcl:"redeploy,optional" json:"redeploy,omitempty"`
}

// firstFree is the first port that an account other than root can take: net.ipv4.ip_unprivileged_port_start, as the kernel sets it.
const firstFree = 1024

// Check implements lab.Checker.
func (f *PortTaken) Check() []lab.Problem {
	var out []lab.Problem
	switch {
	case f.Port < 1 || f.Port > 65535:
		out = append(out, lab.Problem{Attr: "port", Summary: "no such port",
			Detail: fmt.Sprintf("%d is not a port. Write 1 to 65535.", f.Port)})
	case f.Port < firstFree && f.Account != "" && f.Account != "root":
		out = append(out, lab.Problem{Attr: "account", Summary: "port of root",
			Detail: fmt.Sprintf("Ports below %d can be taken by root only. Leave account out, or take another port.", firstFree)})
	}
	if f.Protocol != TCP && f.Protocol != UDP {
		out = append(out, lab.Problem{Attr: "protocol", Summary: "no such protocol",
			Detail: fmt.Sprintf("%q has no ports here. Write \"tcp\" or \"udp\", or leave it out for \"tcp\".", f.Protocol)})
	}
	return out
}

func (f *PortTaken) port() port { return port{f.Protocol, f.Port} }

// Inject implements lab.Breaker.
func (f *PortTaken) Inject(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	var stack lab.Stack
	if f.Redeploy != "" {
		if stack, err = env.Stack(f.Redeploy); err != nil {
			return err
		}
		if stack.Machine != f.Machine {
			return fmt.Errorf("cannot redeploy %s: it is on %s, and the port is taken on %s", f.Redeploy, stack.Machine, f.Machine)
		}
		env.Say("%s takes %s down", stack.Account, stack.Name)
		if err := compose(ctx, env, f.Redeploy, "down", "-t", "1"); err != nil {
			return err
		}
	}
	who := "root"
	if f.Account != "" {
		who = string(f.Account)
	}
	env.Say("another process, of %s, takes %s", who, f.port())
	if err := f.port().take(ctx, m, string(f.Account)); err != nil {
		return err
	}
	if f.Redeploy == "" {
		return nil
	}
	r, err := env.Compose(ctx, f.Redeploy, "up", "-d")
	if err == nil {
		env.Say("%s brings %s up: code %d%s", stack.Account, stack.Name, r.Code, complaint(r))
	}
	return err
}

// complaint is the line in which podman says that a port was in use; empty when it says no such thing.
func complaint(r lab.Result) string {
	for _, out := range [][]byte{r.Stderr, r.Stdout} {
		if line := firstLine(out, inUse); line != "" {
			return ", " + line
		}
	}
	return ""
}

// Verify implements lab.Breaker.
func (f *PortTaken) Verify(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	state, err := output(ctx, m, "systemctl", "show", "-p", "ActiveState", "--value", f.port().unit())
	if err != nil {
		return err
	}
	if state != "active" {
		return fmt.Errorf("cannot confirm port_taken: the process that takes %s is %s", f.port(), state)
	}
	refused, err := f.port().refused(ctx, m)
	if err != nil {
		return err
	}
	if !refused {
		return fmt.Errorf("cannot confirm port_taken: another process could have %s", f.port())
	}
	return nil
}

// Heal implements lab.Breaker.
func (f *PortTaken) Heal(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	return stopUnit(ctx, m, f.port().unit())
}
