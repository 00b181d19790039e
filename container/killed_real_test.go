package container

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/ledger"
)

func TestKilledRunIsCollected(t *testing.T) {
	real(t)
	const ms = time.Millisecond
	labtest.TestDeath(t, func(t *testing.T) labtest.Death {
		dir := t.TempDir()
		runs, before := filepath.Join(dir, "runs"), drivertest.Take(t, dir)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "SAIGEN_TEST_ABANDON="+dir)
		return labtest.Death{
			Process: cmd,
			Dead: func() (int, error) {
				dead, err := ledger.Dead(runs)
				return len(dead), err
			},
			Collect: func() error {
				dead, err := ledger.Dead(runs)
				if err != nil {
					return err
				}
				return ledger.Collect(t.Context(), dead, Undoers()...)
			},
			Left: func() (left []string) {
				for _, l := range drivertest.NewThings(t, before, dir, "t-killed") {
					if !strings.Contains(l.What, "/runs/") { // the ledger itself stays
						left = append(left, l.String())
					}
				}
				return left
			},
		}
	}, 100*ms, 200*ms, 300*ms, 500*ms, 800*ms)
}
