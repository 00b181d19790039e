package labtest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Observers is the table of the assertions that exist for tests alone.
func Observers() []lab.Kind[lab.Observer] {
	return []lab.Kind[lab.Observer]{{Name: "fake", New: func() lab.Observer { return &Reading{Is: "over 0"} }}}
}

// Breakers is the table of the faults that exist for tests alone.
func Breakers() []lab.Kind[lab.Breaker] {
	return []lab.Kind[lab.Breaker]{{Name: "fake", New: func() lab.Breaker { return &Switch{To: 1} }}}
}

// Reading reads a named value of a fake machine. It holds when the newest reading is in the limit.
//
// Values: value.
type Reading struct {
	// The fake machine.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// The name of the value.
	Value string `hcl:"value" json:"value"`
	// What it must be. Default: "over 0".
	Is lab.Limit `hcl:"is,optional" json:"is,omitempty"`
}

// Limits implements lab.Limiter.
func (*Reading) Limits() []string { return []string{"is"} }

// Numbers implements lab.Numbered.
func (*Reading) Numbers() []string { return []string{"value"} }

// Observe implements lab.Observer.
func (r *Reading) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	res, err := at.Run(ctx, lab.Command{Argv: []string{"fake", "get", r.Value}})
	if err != nil {
		return lab.Observation{}, err
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(string(res.Stdout)), 64)
	if err != nil {
		return lab.Observation{}, fmt.Errorf("cannot read value %q: %w", r.Value, err)
	}
	return lab.Observation{Values: map[string]float64{"value": v}, Summary: fmt.Sprintf("%s is %g", r.Value, v)}, nil
}

// Holds implements lab.Observer.
func (r *Reading) Holds(history []lab.Observation) bool {
	return r.Is.Holds(history[len(history)-1].Values["value"])
}

// Switch sets a named value of a fake machine. Healing sets it to 0.
type Switch struct {
	// The fake machine.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// The name of the value.
	Value string `hcl:"value" json:"value"`
	// What it becomes. Default: 1.
	To float64 `hcl:"to,optional" json:"to"`
	// Whether the value outlives healing, as damage that only a remedy repairs. Default: false.
	Lasting bool `hcl:"lasting,optional" json:"lasting"`
	// Which step fails: "inject", "verify" or "heal". Default: none.
	Fail string `hcl:"fail,optional" json:"fail,omitempty"`
	// How long injecting takes. Default: "0s".
	Takes lab.Duration `hcl:"takes,optional" json:"takes,omitempty"`
}

// Inject implements lab.Breaker.
func (s *Switch) Inject(ctx context.Context, env lab.Env) error {
	env.Say("setting %s to %g", s.Value, s.To)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.Takes.Value()):
	}
	return s.step(ctx, env, "inject", "set", s.Value, strconv.FormatFloat(s.To, 'g', -1, 64))
}

// Verify implements lab.Breaker.
func (s *Switch) Verify(ctx context.Context, env lab.Env) error {
	return s.step(ctx, env, "verify", "get", s.Value)
}

// Heal implements lab.Breaker.
func (s *Switch) Heal(ctx context.Context, env lab.Env) error {
	if s.Lasting {
		return s.step(ctx, env, "heal", "get", s.Value)
	}
	return s.step(ctx, env, "heal", "set", s.Value, "0")
}

func (s *Switch) step(ctx context.Context, env lab.Env, name string, args ...string) error {
	if s.Fail == name {
		return fmt.Errorf("cannot %s: told to fail", name)
	}
	m, err := env.Machine(s.Machine)
	if err != nil {
		return err
	}
	cmd := lab.Command{Argv: append([]string{"fake"}, args...)}
	r, err := m.Run(ctx, cmd)
	if err != nil {
		return err
	}
	return r.Err(cmd)
}
