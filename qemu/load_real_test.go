package qemu

import (
	"testing"

	"github.com/saigen-lab/saigen/driver/drivertest"
)

// A machine that was loaded and has died since is loaded again, and one that nobody wanted goes with its run.
func TestRealLoadedAndNotWanted(t *testing.T) {
	real(t)
	l := drivertest.OneMachine()
	b, key := saved(t, "t-load", l)
	before := drivertest.Take(t, b.dir)
	load := func() *process {
		t.Helper()
		if err := b.Load(t.Context(), b.id, l, key); err != nil {
			t.Fatal(drivertest.Explain(err))
		}
		return b.runs.Of(b.id).ahead.vms[0].process
	}
	died := load()
	died.kill()
	machines, err := b.Restore(t.Context(), b.id, l, key)
	if err != nil {
		t.Fatal(drivertest.Explain(err))
	}
	if got := drivertest.Sh(t, machines[0], "", "echo alive"); got != "alive" {
		t.Fatalf("the machine says %q", got)
	}
	if err := machines[0].Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}

	unwanted := load()
	var status struct{ Running bool }
	if err := unwanted.mon.do(t.Context(), "query-status", nil, &status); err != nil || status.Running {
		t.Errorf("what was loaded is not stopped: %+v, %v", status, err)
	}
	if err := b.Release(t.Context(), b.id); err != nil {
		t.Fatal(err)
	}
	if !unwanted.gone() {
		t.Error("what was loaded is still there after the run")
	}
	drivertest.NothingLeft(t, before, b.dir, b.id)
}
