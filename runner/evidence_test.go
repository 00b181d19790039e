package runner_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
)

// A disk that is full while any file of a trial is written, all others having room: there is no verdict, and the error says what a
// user can do about it.
func TestFullDisk(t *testing.T) {
	for _, name := range []string{
		runner.ObservationsFile, runner.LabFile + ".new", runner.VerdictFile + ".new", filepath.Join(runner.LogsFolder, "fault-remedy-cure.log.new"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			full := filepath.Join(folder, "1", name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.Symlink("/dev/full", full)); err != nil {
				t.Fatal(err)
			}
			l := fill(sickLab(), folder)
			l.Remedies = []lab.Remedy{remedy(folder, "cure", "fake set sick 0\n", true, t)}
			said := &seen{}
			d := &labtest.Driver{}
			r := runner.Runner{
				Driver: d, Composer: noStacks{}, Sink: said, Run: "r", Folder: folder, Keep: runner.KeepNever,
				Advise: func(err error) string {
					if errors.Is(err, syscall.ENOSPC) {
						return "make room"
					}
					return ""
				},
			}
			s, err := r.All(t.Context(), []*lab.Lab{l}, 1)
			if infra := (*lab.InfraError)(nil); !errors.As(err, &infra) || !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "cannot keep the evidence of test: ") {
				t.Errorf("got %v", err)
			}
			if len(s.Outcomes) != 0 {
				t.Errorf("there is a verdict: %+v", s.Outcomes[0])
			}
			if data, err := os.ReadFile(filepath.Join(folder, "1", runner.VerdictFile)); err == nil {
				t.Errorf("there is a verdict: %s", data)
			}
			for _, e := range said.all {
				if e.Type == runner.TrialEnded {
					t.Errorf("a verdict was told: %+v", e.Outcome)
				}
				if e.Type == runner.Failed && !strings.HasPrefix(e.Hint, "make room") {
					t.Errorf("%s: hint %q", e.Text, e.Hint)
				}
			}
			if left := d.Left(); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// The host runs out of room in the middle of an arm: whatever the machines show, it is no symptom.
func TestScarce(t *testing.T) {
	for _, phase := range []string{"baseline", "fault", "soak cure"} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			l := fill(sickLab(), folder)
			l.Remedies = []lab.Remedy{remedy(folder, "cure", "fake set sick 0\n", true, t)}
			var short atomic.Bool
			said := &seen{each: func(e runner.Event) {
				if e.Type == runner.PhaseStarted && e.Phase == phase {
					short.Store(true)
				}
			}}
			d := &labtest.Driver{}
			r := runner.Runner{
				Driver: d, Composer: noStacks{}, Sink: said, Run: "r", Folder: folder, Keep: runner.KeepNever,
				Scarce: func() string {
					if short.Load() {
						return "no space left on device"
					}
					return ""
				},
			}
			s, err := r.All(t.Context(), []*lab.Lab{l}, 1)
			if err != nil {
				t.Fatal(err)
			}
			if o := s.Outcomes[0]; o.Verdict != lab.Inconclusive || !strings.Contains(o.Because, "the host ran short while the ") {
				t.Errorf("%s: %s", o.Verdict, o.Because)
			}
			if left := d.Left(); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}
