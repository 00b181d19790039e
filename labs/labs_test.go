// Package labs holds the labs themselves, a folder each, and the tests that load and run them all.
package labs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/faults"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
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

func TestLabs(t *testing.T) {
	used := map[string]bool{}
	for _, path := range all(t) {
		t.Run(filepath.Dir(path), func(t *testing.T) {
			f, diags := labfile.Load(path, labfile.Kinds{Faults: faults.Kinds(), Assertions: assertions.Kinds()}, stack.Read)
			if len(diags) > 0 {
				t.Fatal(diags)
			}
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
			for _, v := range f.Variants() {
				l := f.Lab(v)
				if l.Story == "" {
					t.Errorf("no story")
				}
				for _, x := range l.Faults {
					used[x.Kind] = true
				}
				for _, group := range [][]lab.Assertion{l.Symptoms, l.Invariants, l.Ready} {
					for _, a := range group {
						used[a.Kind] = true
					}
				}
			}
		})
	}
	// Every kind of fault that injects something by itself is used by a lab.
	for _, k := range faults.Kinds() {
		if !used[k.Name] && k.Name != "command" {
			t.Errorf("no lab uses the fault kind %s", k.Name)
		}
	}
}

// TestRealLabs runs every variant of every lab for real. saigen compares the host with what it was after each run, and
// ends with another code when something is left.
func TestRealLabs(t *testing.T) {
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("starts machines: set SAIGEN_REAL=1")
	}
	saigen := build(t, t.TempDir())
	for _, path := range all(t) {
		t.Run(filepath.Dir(path), func(t *testing.T) {
			cmd := exec.Command(saigen, "run", filepath.Dir(path))
			cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
			cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // as it happens: this takes many minutes
			if err := cmd.Run(); err != nil {
				t.Errorf("not every variant got its expected verdict: %v", err)
			}
		})
	}
}
