package container

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRequirementsSayWhatToDo(t *testing.T) {
	for _, engine := range []string{"", "unix:///nowhere"} {
		for _, r := range Requirements(engine, "/var/lib/saigen") {
			if r.Name == "" || r.Needed != "driver container" || r.Fix == "" || r.Check == nil {
				t.Errorf("requirement %+v is not whole", r)
			}
		}
	}
}

func TestConditionsSayWhatToDo(t *testing.T) {
	for need, all := range Conditions() {
		for _, r := range all {
			if r.Name == "" || !strings.HasPrefix(r.Needed, string(need)) || r.Fix == "" || r.Check == nil {
				t.Errorf("condition %+v of %s is not whole", r, need)
			}
		}
	}
}

func TestPIDMaxPerNamespace(t *testing.T) {
	for release, own := range map[string]bool{
		"6.14.0-1-amd64": true, "6.18.44": true, "7.0": true, "6.13.12": false, "6.1.0-28-amd64": false, "5.15": false, "": false,
	} {
		if err := pidMaxPerNamespace(release); (err == nil) != own {
			t.Errorf("Linux %q: %v", release, err)
		}
	}
}

func TestMissingProgram(t *testing.T) {
	if err := program("saigen-no-such-program", "").Check(t.Context()); err == nil {
		t.Error("a program that nobody has is there")
	}
	if err := helper("saigen-no-such-helper", "").Check(t.Context()); err == nil {
		t.Error("a helper that nobody has is there")
	}
	if err := program("sh", "").Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEngineThatDoesNotAnswer(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := checkEngine(t.Context(), "unix://"+socket); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("the check says %v", err)
	}
}

func TestNearestFolder(t *testing.T) {
	dir := t.TempDir()
	_, found, err := statNearest(filepath.Join(dir, "not", "yet"))
	if err != nil || found != dir {
		t.Errorf("found %s, %v", found, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := statNearest(filepath.Join(dir, "file", "x")); err == nil {
		t.Error("a file is a folder")
	}
}
