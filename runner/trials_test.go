package runner_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
)

func variants(t *testing.T, values ...string) []*lab.Lab {
	t.Helper()
	var out []*lab.Lab
	dir := t.TempDir()
	for _, v := range values {
		l := fill(sickLab(), dir)
		l.Variant = lab.Variant{{Axis: "a", Value: v}}
		out = append(out, l)
	}
	return out
}

// Trials run side by side, on machines of their own, and are reported in the order as declared.
func TestParallel(t *testing.T) {
	d := &labtest.Driver{}
	var mu sync.Mutex
	now, most := map[string]bool{}, 0
	meet := make(chan struct{}) // closed when three trials are under way
	said := &seen{each: func(e runner.Event) {
		mu.Lock()
		defer mu.Unlock()
		name := fmt.Sprint(e.Variant, e.Trial)
		switch e.Type {
		case runner.TrialStarted:
			now[name] = true
			if most = max(most, len(now)); most == 3 {
				select {
				case <-meet:
				default:
					close(meet)
				}
			}
		case runner.TrialEnded:
			delete(now, name)
		}
	}}
	d.Made = func(*labtest.Machine) { <-meet }
	r := runner.Runner{Driver: d, Composer: noStacks{}, Sink: said, Run: "r", Folder: t.TempDir(), Parallel: 3}
	s, err := r.All(context.Background(), variants(t, "x", "y"), 4)
	if err != nil {
		t.Fatal(err)
	}
	wants(t, d, s, lab.Reproduced, 8)
	for i, o := range s.Outcomes {
		if want := []string{"x", "y"}[i/4]; o.Variant[0].Value != want || o.Trial != i%4+1 {
			t.Errorf("outcome %d is trial %d of %s", i, o.Trial, o.Variant)
		}
	}
	ids := map[lab.RunID]int{}
	for _, m := range d.Machines() {
		ids[m.RunID]++
	}
	n := 0
	for _, id := range []lab.RunID{"r", "r-2", "r-3"} {
		if ids[id] == 0 || ids[id] != ids[id+"-control"] {
			t.Errorf("%d machines of %s, %d of its control arm", ids[id], id, ids[id+"-control"])
		}
		n += ids[id]
	}
	if most != 3 || n != 8 || len(ids) != 6 {
		t.Errorf("%d trials at once, run ids %v", most, ids)
	}
	for _, e := range said.all {
		if e.Type != runner.RunStarted && (e.Variant == "" || e.Trial == 0) {
			t.Errorf("whose event is this? %+v", e)
			break
		}
	}
}

// hypervisor is a driver whose machines have two processors.
type hypervisor struct{ *labtest.Driver }

func (hypervisor) Processors(lab.Machine) int { return 2 }

// Arms that the host has no cores for both of are run one after the other; who did well does not stay.
func TestArmsOneByOne(t *testing.T) {
	for _, c := range []struct {
		cores  int
		expect lab.Verdict
		alive  int // machines of the fault arm while the control arm starts
	}{
		{4, lab.Reproduced, 1},
		{0, lab.Reproduced, 1},
		{2, lab.Reproduced, 0},
		{2, lab.NotReproduced, 1},
	} {
		d := &labtest.Driver{}
		alive := 0
		d.Made = func(m *labtest.Machine) {
			if m.RunID == "r-control" {
				alive = len(d.Left()) - 1
			}
		}
		var order []string
		said := &seen{each: func(e runner.Event) {
			if e.Type == runner.ArmStarted || e.Type == runner.ArmEnded {
				order = append(order, e.Arm+" "+string(e.Type))
			}
		}}
		l := variants(t, "x")[0]
		l.Expect = c.expect
		r := runner.Runner{Driver: hypervisor{d}, Composer: noStacks{}, Sink: said, Run: "r", Folder: t.TempDir(),
			Capacity: func() (int64, int) { return 0, c.cores }, Keep: runner.KeepNever,
			Collect: func(context.Context, lab.Running, lab.Machine, func(string, []byte) error) error { return nil }}
		s, err := r.All(context.Background(), []*lab.Lab{l}, 1)
		if err != nil {
			t.Fatal(err)
		}
		wants(t, d, s, lab.Reproduced, 1)
		beside := strings.HasPrefix(strings.Join(order, ", "), "fault arm_started, control arm_started")
		if beside != (c.cores != 2) {
			t.Errorf("%d cores: %v", c.cores, order)
		}
		if c.cores == 2 && min(alive, 1) != c.alive {
			t.Errorf("%s expected: %d things of the fault arm are there when the control arm begins", c.expect, alive)
		}
	}
}

// More trials at once than the host has room for are not run.
func TestCapacity(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name    string
		memory  int64
		cores   int
		machine lab.Machine
		want    int
		warning string
	}{
		{"enough", 16 * gib, 8, lab.Machine{Name: "m"}, 4, ""},
		{"not known", 0, 0, lab.Machine{Name: "m"}, 4, ""},
		{"memory", 5 * gib, 8, lab.Machine{Name: "m"}, 2, "2 trials side by side instead of 4: each needs 2048 MiB of memory for the machines of its two arms, and the host has 5120 MiB"},
		{"declared memory", 5 * gib, 8, lab.Machine{Name: "m", Memory: "512MiB"}, 4, ""},
		{"cores", 16 * gib, 6, lab.Machine{Name: "m", CPUs: 2}, 3, "3 trials side by side instead of 4: each needs 2 of the host's 6 cores"},
		{"machines that wait", 16 * gib, 2, lab.Machine{Name: "m"}, 4, ""},
		{"one core", 16 * gib, 1, lab.Machine{Name: "m"}, 2, "2 trials side by side instead of 4: each needs 0.5 of the host's 1 cores"},
		{"neither", gib, 1, lab.Machine{Name: "m", CPUs: 2}, 1, "1 trials side by side instead of 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, said := &labtest.Driver{}, &seen{}
			var arms atomic.Int32
			full := make(chan struct{}) // closed when as many trials as there should be are under way
			d.Made = func(m *labtest.Machine) {
				if strings.HasSuffix(string(m.RunID), runner.Control) {
					return
				}
				if arms.Add(1) == int32(c.want) {
					close(full)
				}
				select {
				case <-full:
				case <-time.After(10 * time.Second):
					t.Error("they are not run side by side")
				}
			}
			labs := variants(t, "x")
			labs[0].Machines = []lab.Machine{c.machine}
			r := runner.Runner{Driver: d, Composer: noStacks{}, Sink: said, Run: "r", Folder: t.TempDir(), Parallel: 4,
				Capacity: func() (int64, int) { return c.memory, c.cores }}
			if _, err := r.All(context.Background(), labs, 4); err != nil {
				t.Fatal(err)
			}
			ids := map[lab.RunID]bool{}
			for _, m := range d.Machines() {
				ids[m.RunID] = true
			}
			w := said.warnings()
			if len(ids) != 2*c.want || (c.warning == "") != (len(w) == 0) || !strings.Contains(strings.Join(w, ""), c.warning) {
				t.Errorf("%d slots, want %d; warned %q", len(ids)/2, c.want, w)
			}
		})
	}
}

// ^C ends all trials that are under way, and none is started after it.
func TestInterruptedInParallel(t *testing.T) {
	for _, driver := range []func() (lab.Driver, *labtest.Driver){
		func() (lab.Driver, *labtest.Driver) { d := &labtest.Driver{}; return d, d },
		func() (lab.Driver, *labtest.Driver) { d := withSnapshots(); return d, d.Driver },
	} {
		for _, phase := range []string{"", "baseline", "fault", "hold"} {
			d, fake := driver()
			ctx, cancel := context.WithCancel(context.Background())
			said := &seen{each: func(e runner.Event) {
				if (e.Type == runner.PhaseStarted && e.Phase == phase) || (phase == "" && e.Type == runner.ArmStarted) {
					cancel()
				}
			}}
			r := runner.Runner{Driver: d, Composer: noStacks{}, Sink: said, Run: "r", Folder: t.TempDir(), Parallel: 3}
			s, err := r.All(ctx, variants(t, "x", "y"), 20)
			if !errors.Is(err, context.Canceled) || s.Exit != runner.ExitInterrupted || len(s.Outcomes) > 30 {
				t.Errorf("%q: %v, exit code %d, %d outcomes", phase, err, s.Exit, len(s.Outcomes))
			}
			if left := fake.Left(); len(left) > 0 {
				t.Errorf("%q: left alive: %q", phase, left)
			}
			cancel()
		}
	}
}

// Evidence that cannot be kept ends all trials, and is what the run says.
func TestNoEvidenceInParallel(t *testing.T) {
	d, folder := &labtest.Driver{}, t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "y,2"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := runner.Runner{Driver: d, Composer: noStacks{}, Sink: &seen{}, Run: "r", Folder: folder, Parallel: 2}
	s, err := r.All(context.Background(), variants(t, "x", "y"), 3)
	var infra *lab.InfraError
	if !errors.As(err, &infra) || !strings.Contains(err.Error(), "y,2") || len(s.Outcomes) > 5 {
		t.Errorf("%v, %d outcomes", err, len(s.Outcomes))
	}
	if left := d.Left(); len(left) > 0 {
		t.Errorf("left alive: %q", left)
	}
}

// The machines of one arm are kept, no more, and no further trial is started.
func TestKeepOnFailureInParallel(t *testing.T) {
	d := &labtest.Driver{}
	labs := variants(t, "x", "y")
	for _, l := range labs {
		l.Faults = nil
	}
	r := runner.Runner{Driver: d, Composer: noStacks{}, Sink: &seen{}, Run: "r", Folder: t.TempDir(), Parallel: 2, Keep: runner.KeepOnFailure}
	s, err := r.All(context.Background(), labs, 5)
	if err != nil {
		t.Fatal(err)
	}
	id, kept := r.Kept()
	if left := d.Left(); !kept || len(left) != 1 || len(s.Outcomes) > 3 {
		t.Errorf("kept %v as %s, left %q, %d outcomes", kept, id, left, len(s.Outcomes))
	}
	for _, m := range d.Machines() {
		if m.Destroys() == 0 && m.RunID != id {
			t.Errorf("a machine of %s is alive, and %s was kept", m.RunID, id)
		}
		if err := m.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if v := r.KeptVariant(); len(v) != 1 || (v[0].Value != "x" && v[0].Value != "y") {
		t.Errorf("the variant that was kept is %v", v)
	}
}
