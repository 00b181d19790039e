package qemu

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/lab"
)

// What a copy of a machine may cost, in bytes: the design's numbers.
const (
	cloneMemory = 120e6
	cloneDisk   = 50e6
)

// Ten copies at once work, each by itself, and share what they do not write to.
func TestRealTenClones(t *testing.T) {
	real(t)
	l := drivertest.OneMachine()
	b, key := saved(t, "t-clones", l)
	machines := make([]lab.Running, 10)
	var all sync.WaitGroup
	for i := range machines {
		all.Go(func() {
			clones, err := b.Restore(t.Context(), lab.RunID(fmt.Sprintf("t-clones-%d", i)), l, key)
			if err != nil {
				t.Error(drivertest.Explain(err))
				return
			}
			machines[i] = clones[0]
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	random := map[string]bool{}
	for i, m := range machines {
		if got := drivertest.Sh(t, m, "", fmt.Sprintf("echo %d >/root/who; cat /root/who", i)); got != fmt.Sprint(i) {
			t.Errorf("clone %d says %q", i, got)
		}
		random[drivertest.Sh(t, m, "", "head -c 16 /dev/urandom | od -An -tx8")] = true
	}
	if len(random) != len(machines) {
		t.Errorf("%d clones have %d random numbers", len(machines), len(random))
	}
	var memory, disk int64
	for _, m := range machines {
		memory = max(memory, privateMemory(t, pidOf(m)))
		disk = max(disk, used(t, filepath.Join(m.(*vmachine).dir, rootDisk)))
	}
	t.Logf("the biggest of %d clones has %.0f MB of memory of its own, and %.1f MB of disk", len(machines), float64(memory)/1e6, float64(disk)/1e6)
	if memory > cloneMemory || disk > cloneDisk {
		t.Errorf("more than %.0f MB of memory, or %.0f MB of disk", cloneMemory/1e6, cloneDisk/1e6)
	}
	for _, m := range machines {
		if err := m.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
