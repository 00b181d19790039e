// Package labs holds the labs themselves, a folder each, and the tests that load and run them all.
package labs

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/faults"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/runner"
	"github.com/saigen-lab/saigen/stack"
)

func all(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*/" + labfile.FileName)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("there are no labs")
	}
	return files
}

// examples are the labs that the pages on writing labs show. They are run with the others, and what they use is used.
var examples = []string{"../docs/examples/nginx-typo", "../docs/examples/port-taken"}

func load(t *testing.T, path string) *labfile.File {
	t.Helper()
	f, diags := labfile.Load(path, labfile.Kinds{Faults: faults.Kinds(), Assertions: assertions.Kinds()}, stack.Read)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	return f
}

func TestLabs(t *testing.T) {
	used := map[string]bool{}
	for _, path := range all(t) {
		t.Run(filepath.Dir(path), func(t *testing.T) {
			f := load(t, path)
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if out, _ := labfile.Format(src, path); !bytes.Equal(src, out) {
				t.Errorf("%s is not formatted: saigen fmt does it", path)
			}
			lock, err := image.ReadLock(f.Dir)
			if err != nil || len(lock.Images) == 0 {
				t.Errorf("no %s (%v): saigen run writes it when every variant got its verdict", image.LockName, err)
			}
			reproduced, told := false, false
			for _, v := range f.Variants() {
				l := f.Lab(v)
				if l.Story == "" {
					t.Errorf("no story")
				}
				reproduced = reproduced || l.Expect == lab.Reproduced
				for _, x := range l.Faults {
					used[x.Kind] = true
				}
				for _, a := range slices.Concat(l.Symptoms, l.Invariants, l.Ready) {
					used[a.Kind] = true
					told = told || slices.ContainsFunc(a.Figures, func(f lab.Figure) bool { return f.Incident != "" })
				}
			}
			if !reproduced {
				t.Error("no variant reproduces the incident")
			}
			if !told {
				t.Error("no figure stands beside one of the report: add figure blocks with incident")
			}
		})
	}
	for _, path := range examples {
		f := load(t, filepath.Join(path, labfile.FileName))
		for _, v := range f.Variants() {
			for _, x := range f.Lab(v).Faults {
				used[x.Kind] = true
			}
		}
	}
	for _, k := range faults.Kinds() {
		if !used[k.Name] && k.Name != "command" { // which injects nothing by itself
			t.Errorf("no lab uses the fault kind %s", k.Name)
		}
	}
}

// TestWitnesses checks the choice that TestWithoutFaults makes: no symptom is left out.
func TestWitnesses(t *testing.T) {
	for _, path := range all(t) {
		f := load(t, path)
		seen := map[string]bool{}
		for _, v := range witnesses(f) {
			for _, s := range f.Lab(v).Symptoms {
				seen[identity(s)] = true
			}
		}
		for _, v := range f.Variants() {
			for _, s := range f.Lab(v).Symptoms {
				if f.Lab(v).Expect == lab.Reproduced && !seen[identity(s)] {
					t.Errorf("%s %s: nobody looks at %s without the fault", f.Name, v, s.Address())
				}
			}
		}
	}
}

// witnesses are variants that have every symptom of a lab between them: each tells that its symptoms stay away when nothing is
// injected. Only those count that reproduce the incident, because elsewhere a symptom stays away anyhow; and of those one for each
// symptom is enough: variants differ in their faults, which are left out, or in what the machines are made of, and there every
// run has its control arm.
func witnesses(f *labfile.File) []lab.Variant {
	var out []lab.Variant
	seen := map[string]bool{}
	for {
		var best lab.Variant
		most := 0
		for _, v := range f.Variants() {
			l, n := f.Lab(v), 0
			for _, s := range l.Symptoms {
				if l.Expect == lab.Reproduced && !seen[identity(s)] {
					n++
				}
			}
			if n > most {
				best, most = v, n
			}
		}
		if most == 0 {
			return out
		}
		out = append(out, best)
		for _, s := range f.Lab(best).Symptoms {
			seen[identity(s)] = true
		}
	}
}

// identity tells whether two variants have the same symptom.
func identity(s lab.Assertion) string { return s.Address() + " " + string(s.Settings) }

// TestRealLabs runs every variant of every lab for real, and prints one table of them. saigen compares the host with what it was
// after each run, and ends with another code when something is left. Two trials go side by side where the host has room: much of
// their time is waiting for symptoms that must not come, and what the host was too busy for is inconclusive, never a verdict, and is tried once more.
func TestRealLabs(t *testing.T) {
	needReal(t)
	t.Parallel() // beside TestWithoutFaults, most of which is waiting
	cmd := exec.Command(build(t, t.TempDir()), append([]string{"run", ".", "--parallel", "2", "--again", "1"}, examples...)...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // as it happens: this takes many minutes
	if err := cmd.Run(); err != nil {
		t.Errorf("not every variant of every lab got its expected verdict: %v", err)
	}
}

// TestWithoutFaults replaces the faults of every lab by nothing. Then every symptom must stay away, for as long as it has to
// appear: one that does not need the fault proves nothing.
func TestWithoutFaults(t *testing.T) {
	needReal(t)
	t.Parallel()
	saigen := build(t, t.TempDir())
	for _, path := range all(t) {
		t.Run(filepath.Dir(path), func(t *testing.T) {
			t.Parallel() // nothing is done to the machines: they wait
			f := load(t, path)
			for _, v := range witnesses(f) {
				state := t.TempDir()
				args := append([]string{"run", filepath.Dir(path), "--without-faults", "--again", "1", "--quiet"}, strings.Fields(v.String())...)
				cmd := exec.Command(saigen, args...)
				cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
				cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
				if err := cmd.Run(); err != nil {
					t.Errorf("%s %s is not not_reproduced without its faults: %v", f.Name, v, err)
				}
				neverAppeared(t, state, f.Lab(v))
			}
		})
	}
}

// neverAppeared reads the verdict of the last trial, before which there is at most one that was inconclusive: every symptom of the lab was looked at, and never seen.
func neverAppeared(t *testing.T, state string, l *lab.Lab) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(state, "saigen", "runs", "*", "*", runner.VerdictFile))
	if err != nil || len(files) == 0 || len(files) > 2 {
		t.Fatalf("%d verdicts (%v)", len(files), err)
	}
	data, err := os.ReadFile(slices.Max(files)) // the folder of a trial ends with its number
	if err != nil {
		t.Fatal(err)
	}
	var o runner.Outcome
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	if o.Verdict != lab.NotReproduced || len(o.Remedies) > 0 {
		t.Errorf("%s, with %d remedies: %s", o.Verdict, len(o.Remedies), o.Because)
	}
	for _, s := range l.Symptoms {
		i := slices.IndexFunc(o.Symptoms, func(r runner.SymptomResult) bool { return r.Address == s.Address() })
		switch {
		case i < 0:
			t.Errorf("%s was not judged", s.Address())
		case o.Symptoms[i].Appeared || o.Symptoms[i].InControl || o.Symptoms[i].CouldNot != "":
			t.Errorf("%s appeared without the fault, or could not be looked at: %+v", s.Address(), o.Symptoms[i])
		case !strings.Contains(o.Because, s.Address()):
			t.Errorf("%s is not named as one that never appeared: %s", s.Address(), o.Because)
		}
	}
}

func needReal(t *testing.T) {
	t.Helper()
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("starts machines: set SAIGEN_REAL=1")
	}
}
