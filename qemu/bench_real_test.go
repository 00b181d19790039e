package qemu

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
)

// saved returns a driver that has a snapshot of the lab under the key, which is removed in the end.
func saved(t testing.TB, id lab.RunID, l *lab.Lab) (*bench, string) {
	t.Helper()
	b := open(t, id, l)
	key := fmt.Sprint("test ", time.Now().UnixNano())
	var machines []lab.Running
	for i := range l.Machines {
		machines = append(machines, drivertest.Start(t, b, b.id, l, i))
	}
	began := time.Now()
	if err := b.Save(t.Context(), b.id, l, key, machines); err != nil {
		t.Fatal(drivertest.Explain(err))
	}
	all, err := b.prepared.Of(l)
	if err != nil {
		t.Fatal(err)
	}
	k, err := b.snapshotKey(l, all, key)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := b.o.Images.Find(t.Context(), image.KindSnapshot, k.hash())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("saved in %.2f s", time.Since(began).Seconds())
	for _, m := range l.Machines {
		for _, name := range []string{savedRAM(dir, m.Name), savedState(dir, m.Name), savedDisk(dir, m.Name)} {
			t.Logf("%s: %.1f MB", name[len(dir)+1:], float64(used(t, name))/1e6)
		}
	}
	t.Cleanup(func() {
		if ok, err := b.o.Images.Remove(context.Background(), image.KindSnapshot, k.hash()); err != nil || !ok {
			t.Errorf("the snapshot is not removed: %v", err)
		}
	})
	return b, key
}

// used is what a file occupies, in bytes.
func used(t testing.TB, name string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

// privateMemory is what a process has of its own, in bytes.
func privateMemory(t testing.TB, pid int) int64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	var kilobytes int64
	for line := range splitLines(data) {
		if n, _ := fmt.Sscanf(line, "Private_Dirty: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10
		}
	}
	t.Fatalf("process %d has no Private_Dirty", pid)
	return 0
}

func pidOf(m lab.Running) int { return m.(*vmachine).process.cmd.Process.Pid }

// processorTime is what a machine's QEMU has used, and this process.
func processorTime(t testing.TB, m lab.Running) string {
	t.Helper()
	p, err := procfs.NewProc(pidOf(m))
	if err != nil {
		t.Fatal(err)
	}
	stat, err := p.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%.2f s", stat.CPUTime())
}

// From the call of Restore to the answer of the first command.
func BenchmarkRestore(b *testing.B) {
	real(b)
	l := drivertest.OneMachine()
	v, key := saved(b, "t-restore", l)
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		machines, err := v.Restore(b.Context(), v.id, l, key)
		if err != nil {
			b.Fatal(drivertest.Explain(err))
		}
		restored := time.Since(began)
		if got := drivertest.Sh(b, machines[0], "", "echo alive"); got != "alive" {
			b.Fatalf("the machine says %q", got)
		}
		took = append(took, time.Since(began))
		b.StopTimer()
		b.Logf("restored %.3f s, answered %.3f s; QEMU had %s, %.0f MB of its own", restored.Seconds(), took[len(took)-1].Seconds(),
			processorTime(b, machines[0]), float64(privateMemory(b, pidOf(machines[0])))/1e6)
		if err := machines[0].Destroy(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds(), "s-median")
	b.ReportMetric(took[len(took)*95/100].Seconds(), "s-p95")
}
