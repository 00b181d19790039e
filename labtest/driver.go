package labtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Driver runs fake machines. The zero value works; set its fields before its first use.
type Driver struct {
	// Kinds are the assertions that its machines know. Observers adds them to the kind fake.
	Kinds []lab.Kind[lab.Observer]
	// Handler answers the commands of every machine; see NewWorld.
	Handler Handler
	// Made is told every machine that was started, before Start returns: to fill its world.
	Made func(*Machine)
	// FailPrepare and FailStart, where set, are what Prepare and Start answer.
	FailPrepare, FailStart error

	mu       sync.Mutex
	machines []*Machine
	prepared int
}

// Name implements lab.Driver.
func (d *Driver) Name() string { return "fake" }

// Prepare implements lab.Driver.
func (d *Driver) Prepare(ctx context.Context, l *lab.Lab, say func(string, ...any)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prepared++
	for _, i := range l.Images {
		say("image.%s is fake: nothing to build", i.Name)
	}
	return errors.Join(ctx.Err(), d.FailPrepare)
}

// Start implements lab.Driver.
func (d *Driver) Start(ctx context.Context, run lab.RunID, l *lab.Lab, spec lab.Machine) (lab.Running, error) {
	if err := errors.Join(ctx.Err(), d.FailStart); err != nil {
		return nil, err
	}
	d.mu.Lock()
	prepared := d.prepared
	d.mu.Unlock()
	if prepared == 0 {
		return nil, errors.New("cannot start a machine of a lab that was not prepared")
	}
	m := &Machine{World: NewWorld(d.Handler), RunID: run, Spec: spec, kinds: append(Observers(), d.Kinds...)}
	for _, s := range l.Stacks {
		if s.Machine == m.Ref() {
			m.SetStack(s)
		}
	}
	d.add(m)
	if d.Made != nil {
		d.Made(m)
	}
	return m, nil
}

func (d *Driver) add(m *Machine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.machines = append(d.machines, m)
}

// Machines returns every machine that was started or restored, in that order.
func (d *Driver) Machines() []*Machine {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]*Machine(nil), d.machines...)
}

// Left names everything that is still alive: machines, watches, commands. After a run it must be empty.
func (d *Driver) Left() []string {
	var out []string
	for _, m := range d.Machines() {
		destroyed, watches := m.state()
		if !destroyed {
			out = append(out, string(m.Ref()))
		}
		if watches > 0 {
			out = append(out, fmt.Sprintf("%d watches of %s", watches, m.Ref()))
		}
		if n := m.Running(); n > 0 {
			out = append(out, fmt.Sprintf("%d commands of %s", n, m.Ref()))
		}
	}
	return out
}

// Machine is a fake machine that has been started. Its world is the place that its probes see.
type Machine struct {
	*World
	RunID lab.RunID
	Spec  lab.Machine

	kinds     []lab.Kind[lab.Observer]
	stateMu   sync.Mutex
	destroyed bool
	destroys  int
	watches   int
}

// Ref implements lab.Running.
func (m *Machine) Ref() lab.MachineRef { return lab.MachineRef("machine." + m.Spec.Name) }

func (m *Machine) state() (destroyed bool, watches int) {
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	return m.destroyed, m.watches
}

// Destroys is how often Destroy was called.
func (m *Machine) Destroys() int {
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	return m.destroys
}

func (m *Machine) alive() error {
	if destroyed, _ := m.state(); destroyed {
		return fmt.Errorf("cannot use %s: it was destroyed", m.Ref())
	}
	return m.gone()
}

// Run implements lab.Running.
func (m *Machine) Run(ctx context.Context, cmd lab.Command) (lab.Result, error) {
	if err := m.alive(); err != nil {
		return lab.Result{}, err
	}
	if err := m.known(cmd.Account); err != nil {
		return lab.Result{}, err
	}
	r, err := m.World.Run(ctx, cmd)
	if err == nil && cmd.Stdout != nil && r.Stdout != nil {
		_, err = cmd.Stdout.Write(r.Stdout)
		r.Stdout = nil
	}
	if err == nil && cmd.Stderr != nil && r.Stderr != nil {
		_, err = cmd.Stderr.Write(r.Stderr)
		r.Stderr = nil
	}
	return r, err
}

// known refuses accounts that the machine does not declare.
func (m *Machine) known(account string) error {
	if account == "" || account == "root" {
		return nil
	}
	for _, a := range m.Spec.Accounts {
		if a.Name == account {
			return nil
		}
	}
	return fmt.Errorf("cannot find account %q on %s", account, m.Ref())
}

// Put implements lab.Running.
func (m *Machine) Put(ctx context.Context, f lab.File) error {
	if err := errors.Join(ctx.Err(), m.alive(), m.known(f.Owner)); err != nil {
		return err
	}
	if !filepath.IsAbs(f.Path) {
		return fmt.Errorf("cannot write %q: the path is not absolute", f.Path)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f.Data = append([]byte(nil), f.Data...)
	m.files[f.Path] = f
	return nil
}

// Clock implements lab.Running.
func (m *Machine) Clock(ctx context.Context) (time.Duration, error) {
	return m.offset(), errors.Join(ctx.Err(), m.alive())
}

// Console implements lab.Running.
func (m *Machine) Console(context.Context) (string, error) { return "fake machine: no console\n", nil }

// Destroy implements lab.Running.
func (m *Machine) Destroy(context.Context) error {
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	m.destroys++
	m.destroyed = true
	return nil
}

// Watch implements lab.Running.
func (m *Machine) Watch(ctx context.Context, p lab.Probe, each func(lab.Observation)) error {
	if err := m.alive(); err != nil {
		return err
	}
	o, err := m.observer(p)
	if err != nil {
		return err
	}
	m.stateMu.Lock()
	m.watches++
	m.stateMu.Unlock()
	defer func() {
		m.stateMu.Lock()
		m.watches--
		m.stateMu.Unlock()
	}()
	if p.Every <= 0 {
		return fmt.Errorf("cannot watch %s every %s", p.Address, p.Every)
	}
	ahead := m.ahead()
	for next := time.Now(); ; {
		if seen, ok := m.look(ctx, o, p, next, ahead); ok {
			each(seen)
		}
		// A look that took longer than its turn makes the next one late; turns that were missed are not made up for.
		for next = next.Add(p.Every); time.Until(next) < -p.Every; {
			next = next.Add(p.Every)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.lost:
			return ErrLost
		case <-time.After(time.Until(next)):
		}
	}
}

// look observes once; false when ctx or the machine ended meanwhile. ahead is by how much the clock was when the watch began.
func (m *Machine) look(ctx context.Context, o lab.Observer, p lab.Probe, planned time.Time, ahead time.Duration) (lab.Observation, bool) {
	limited, cancel := ctx, context.CancelFunc(func() {})
	if p.Timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, p.Timeout)
	}
	defer cancel()
	at := time.Now()
	seen, err := o.Observe(limited, m.World)
	if ctx.Err() != nil || m.gone() != nil {
		return lab.Observation{}, false
	}
	if err != nil {
		seen = lab.Observation{Err: err.Error()}
	}
	seen.At, seen.Took, seen.Late, seen.Stepped = at.Add(ahead), time.Since(at), max(0, at.Sub(planned)), m.ahead()-ahead
	return seen, true
}

func (m *Machine) observer(p lab.Probe) (lab.Observer, error) {
	for _, k := range m.kinds {
		if k.Name != p.Kind {
			continue
		}
		o := k.New()
		if len(p.Settings) > 0 {
			if err := json.Unmarshal(p.Settings, o); err != nil {
				return nil, fmt.Errorf("cannot read the settings of %s: %w", p.Address, err)
			}
		}
		return o, nil
	}
	return nil, fmt.Errorf("cannot watch %s: the machine knows no kind %q", p.Address, p.Kind)
}
