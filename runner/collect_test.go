package runner_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
)

// What explains a trial is collected when its verdict is not the expected one, while its machines are alive: those of the
// control arm when they have shown something.
func TestCollected(t *testing.T) {
	for _, c := range []struct {
		name string
		made func(*labtest.Machine)
		to   float64 // what the fault makes of the value
		want []string
	}{
		{"as expected", nil, 1, nil},
		{"never appeared", nil, 0, []string{"fault-m-facts.log"}},
		{"without the fault too", func(m *labtest.Machine) { m.Set("sick", 1) }, 1, []string{"control-m-facts.log", "fault-m-facts.log"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			driver := &labtest.Driver{Made: c.made}
			l := &lab.Lab{
				Name: "test", Dir: t.TempDir(), Expect: lab.Reproduced, Machines: []lab.Machine{{Name: "m", Accounts: []lab.Account{{Name: "alice"}}}},
				Symptoms: []lab.Assertion{reading("symptom", "sick", "over 0")}, Faults: []lab.Fault{fault(labtest.Switch{Value: "sick", To: c.to})},
			}
			r := runner.Runner{
				Driver: driver, Composer: noStacks{}, Sink: &seen{}, Run: "r", Folder: t.TempDir(), Keep: runner.KeepNever,
				Seen: func(_ context.Context, m lab.Running, spec lab.Machine) map[string]map[string]string {
					return map[string]map[string]string{spec.Accounts[0].Name: {"HOME": string(m.Ref())}}
				},
				Collect: func(ctx context.Context, m lab.Running, spec lab.Machine, keep func(string, []byte) error) error {
					if _, err := m.Run(ctx, lab.Command{Argv: []string{"true"}}); err != nil {
						t.Errorf("the machine was destroyed before: %v", err)
					}
					return keep("facts", []byte(spec.Name))
				},
			}
			s, err := r.All(t.Context(), []*lab.Lab{l}, 1)
			if err != nil {
				t.Fatal(err)
			}
			found, err := filepath.Glob(filepath.Join(s.Outcomes[0].Folder, runner.LogsFolder, "*-facts.log"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range found {
				got = append(got, filepath.Base(f))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: collected %v, want %v", s.Outcomes[0].Verdict, got, c.want)
			}
			data, err := os.ReadFile(filepath.Join(s.Outcomes[0].Folder, runner.AccountsFile))
			if err != nil || !strings.Contains(string(data), `"HOME": "machine.m"`) {
				t.Errorf("%s, %v", data, err)
			}
			if left := driver.Left(); len(left) > 0 {
				t.Errorf("left alive: %v", left)
			}
		})
	}
}

// What must not be written down is in no log of a trial.
func TestMasked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	driver := &labtest.Driver{Handler: func(_ context.Context, cmd lab.Command) (lab.Result, error) {
		return lab.Result{Stdout: []byte(cmd.Argv[0] + " says hunter2\n")}, nil
	}}
	l := &lab.Lab{
		Name: "test", Dir: dir, Expect: lab.NotReproduced, Machines: []lab.Machine{{Name: "m"}}, // so that all is collected
		Symptoms: []lab.Assertion{reading("symptom", "sick", "over 0")}, Faults: []lab.Fault{fault(labtest.Switch{Value: "sick", To: 1, Lasting: true})},
		Remedies: []lab.Remedy{remedy(dir, "cure", "fake set sick 0\n", true, t)},
	}
	r := runner.Runner{
		Driver: driver, Composer: noStacks{}, Sink: &seen{}, Run: "r", Folder: t.TempDir(), Keep: runner.KeepNever,
		Mask: func(s string) string { return strings.ReplaceAll(s, "hunter2", "(hidden)") },
		Collect: func(_ context.Context, _ lab.Running, _ lab.Machine, keep func(string, []byte) error) error {
			return keep("facts", []byte("the password is hunter2"))
		},
	}
	s, err := r.All(t.Context(), []*lab.Lab{l}, 1)
	if err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(s.Outcomes[0].Folder, runner.LogsFolder, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	var hidden []string
	for _, f := range logs {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "hunter2") {
			t.Errorf("%s: %s", filepath.Base(f), data)
		}
		if strings.Contains(string(data), "(hidden)") {
			hidden = append(hidden, filepath.Base(f))
		}
	}
	if want := []string{"control-m-journal.log", "fault-m-facts.log", "fault-m-journal.log"}; !slices.Equal(hidden, want) {
		t.Errorf("hidden in %v, want %v", hidden, want)
	}
}
