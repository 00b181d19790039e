package runner

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// What the baseline depends on changes its key; what comes after it, and what is only said, does not.
func TestBaselineKey(t *testing.T) {
	write := func(dir, name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	whole := func(t *testing.T) (*lab.Lab, []lab.Assertion) {
		dir := t.TempDir()
		write(dir, "compose.yaml", "services: {}", 0o644)
		write(dir, "nginx.conf", "events {}", 0o644)
		write(dir, "cure.sh", "true", 0o755)
		write(dir, "Vagrantfile", "Vagrant", 0o644)
		l := &lab.Lab{
			Name: "l", Title: "t", Dir: dir, Expect: lab.Reproduced, Variant: lab.Variant{{Axis: "a", Value: "x"}},
			Images:   []lab.Image{{Name: "host", Debian: "bookworm", Packages: []string{"podman"}}},
			Machines: []lab.Machine{{Name: "m", Image: "image.host", Accounts: []lab.Account{{Name: "alice", Session: lab.SessionLinger}}}},
			Stacks: []lab.Stack{{Name: "s", Machine: "machine.m", Account: "alice", Compose: "compose.yaml", Env: map[string]string{"A": "1", "B": "2"},
				Files: []lab.Path{"nginx.conf"}}},
			Faults:     []lab.Fault{{Kind: "f", Name: "f"}},
			Symptoms:   []lab.Assertion{{Role: "symptom", Kind: "k", Name: "s", Within: "1s"}},
			Invariants: []lab.Assertion{{Role: "invariant", Kind: "k", Name: "i"}},
			Remedies:   []lab.Remedy{{Name: "r", Run: "cure.sh"}},
		}
		return l, []lab.Assertion{{Role: "ready", Kind: "k", Name: "r", Machine: "machine.m", Settings: []byte(`{"url":"x"}`), Within: "1s", Hint: "h"}}
	}
	key := func(t *testing.T, l *lab.Lab, ready []lab.Assertion, salt string) string {
		t.Helper()
		k, err := baselineKey(l, ready, salt)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	l, ready := whole(t)
	base := key(t, l, ready, "")
	for _, c := range []struct {
		name    string
		edit    func(*lab.Lab, []lab.Assertion)
		another bool
	}{
		{"nothing, in another folder", func(*lab.Lab, []lab.Assertion) {}, false},
		{"title", func(l *lab.Lab, _ []lab.Assertion) { l.Title = "new" }, false},
		{"name", func(l *lab.Lab, _ []lab.Assertion) { l.Name = "new" }, false},
		{"variant", func(l *lab.Lab, _ []lab.Assertion) { l.Variant[0].Value = "y" }, false},
		{"expect", func(l *lab.Lab, _ []lab.Assertion) { l.Expect = lab.NotReproduced }, false},
		{"needs", func(l *lab.Lab, _ []lab.Assertion) { l.Needs = lab.Needs() }, false},
		{"fault", func(l *lab.Lab, _ []lab.Assertion) { l.Faults[0].Settings = []byte(`{"a":1}`) }, false},
		{"symptom", func(l *lab.Lab, _ []lab.Assertion) { l.Symptoms[0].Within = "2s" }, false},
		{"invariant", func(l *lab.Lab, _ []lab.Assertion) { l.Invariants[0].Kind = "other" }, false},
		{"remedy", func(l *lab.Lab, _ []lab.Assertion) { write(l.Dir, "cure.sh", "false", 0o755) }, false},
		{"position", func(l *lab.Lab, _ []lab.Assertion) { l.Machines[0].Pos.Line, l.Stacks[0].Pos.Line = 7, 9 }, false},
		{"a probe's hint and time", func(_ *lab.Lab, r []lab.Assertion) { r[0].Hint, r[0].Within = "new", "9s" }, false},
		{"image", func(l *lab.Lab, _ []lab.Assertion) { l.Images[0].Packages = []string{"podman", "dnsmasq"} }, true},
		{"memory", func(l *lab.Lab, _ []lab.Assertion) { l.Machines[0].Memory = "2GiB" }, true},
		{"session", func(l *lab.Lab, _ []lab.Assertion) { l.Machines[0].Accounts[0].Session = lab.SessionSu }, true},
		{"account of the stack", func(l *lab.Lab, _ []lab.Assertion) { l.Stacks[0].Account = "bob" }, true},
		{".env", func(l *lab.Lab, _ []lab.Assertion) { l.Stacks[0].Env["B"] = "3" }, true},
		{"compose file", func(l *lab.Lab, _ []lab.Assertion) { write(l.Dir, "compose.yaml", "services: {a: {}}", 0o644) }, true},
		{"mounted file", func(l *lab.Lab, _ []lab.Assertion) { write(l.Dir, "nginx.conf", "http {}", 0o644) }, true},
		{"mode of a mounted file", func(l *lab.Lab, _ []lab.Assertion) {
			if err := os.Chmod(filepath.Join(l.Dir, "nginx.conf"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"probe", func(_ *lab.Lab, r []lab.Assertion) { r[0].Settings = []byte(`{"url":"y"}`) }, true},
		{"Vagrant's box", func(l *lab.Lab, _ []lab.Assertion) { l.Vagrant = &lab.Vagrant{Box: "b"} }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, ready := whole(t)
			c.edit(l, ready)
			if got := key(t, l, ready, ""); (got != base) != c.another {
				t.Errorf("another key: %v, want %v", got != base, c.another)
			}
		})
	}
	if key(t, l, ready, "run") == base {
		t.Error("a fresh run finds what is stored")
	}
	l.Vagrant = &lab.Vagrant{File: "Vagrantfile"}
	with := key(t, l, ready, "")
	write(l.Dir, "Vagrantfile", "Vagrant 2", 0o644)
	if key(t, l, ready, "") == with {
		t.Error("an edited Vagrantfile has the same key")
	}
	l.Stacks[0].Files = []lab.Path{"gone.conf"}
	if _, err := baselineKey(l, ready, ""); err == nil {
		t.Error("a file that is not there has a key")
	}
}
