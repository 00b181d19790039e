package qemu

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/ledger"
)

// A saigen that is killed at any moment leaves nothing that its ledger does not undo.
func TestRealKilledRunIsCollected(t *testing.T) {
	real(t)
	l := twoMachines()
	open(t, "t-images", l) // so that preparing takes no time below
	for _, moment := range []time.Duration{30, 60, 90, 120, 150, 200, 300, 500, 1000, 3000} {
		t.Run(fmt.Sprintf("%dms", moment), func(t *testing.T) { killed(t, moment*time.Millisecond) })
	}
}

func killed(t *testing.T, moment time.Duration) {
	dir := t.TempDir()
	before := drivertest.Take(t, dir)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SAIGEN_TEST_ABANDON="+dir)
	cmd.Stdout = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-time.After(moment)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	runs := filepath.Join(dir, "runs")
	dead, err := ledger.Dead(runs)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := ledger.Collect(t.Context(), dead, Undoers()...); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d dead, collected in %.2f s", len(dead), time.Since(began).Seconds())
	if dead, err := ledger.Dead(runs); err != nil || len(dead) != 0 {
		t.Errorf("still dead: %v, %v", dead, err)
	}
	drivertest.NothingLeft(t, before, dir, "t-killed")
}
