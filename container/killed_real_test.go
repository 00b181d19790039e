package container

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/ledger"
)

func TestKilledRunIsCollected(t *testing.T) {
	real(t)
	for _, moment := range []time.Duration{0, 100, 200, 300, 500, 800} { // 0: when its machine is up
		t.Run(fmt.Sprintf("%dms", moment), func(t *testing.T) { killed(t, moment*time.Millisecond) })
	}
}

func killed(t *testing.T, moment time.Duration) {
	dir := t.TempDir()
	before := take(t, dir)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SAIGEN_TEST_ABANDON="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	runs := filepath.Join(dir, "runs")
	if moment > 0 {
		<-time.After(moment)
	} else {
		buf := make([]byte, 4096)
		n, err := out.Read(buf)
		if got := string(buf[:n]); got != "up\n" {
			t.Errorf("the process to be killed says %q, %v", got, err)
		}
		if dead, err := ledger.Dead(runs); err != nil || len(dead) != 0 {
			t.Errorf("a living run is dead: %v, %v", dead, err)
		}
		if len(newThings(t, before, dir, "t-killed")) == 0 {
			t.Error("the inventory does not see the run")
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	dead, err := ledger.Dead(runs)
	if err != nil || (moment == 0 && len(dead) != 1) {
		t.Fatalf("dead are %v, %v", dead, err)
	}
	began := time.Now()
	if err := ledger.Collect(t.Context(), dead, Undoers()...); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d dead, collected in %.2f s", len(dead), time.Since(began).Seconds())
	if dead, err := ledger.Dead(runs); err != nil || len(dead) != 0 {
		t.Errorf("still dead: %v, %v", dead, err)
	}
	nothingLeft(t, before, dir, "t-killed")
}
