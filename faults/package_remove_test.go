package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// archive answers what package_remove asks dpkg.
type archive struct {
	state  map[string]string // by package
	saved  map[string]bool
	needed bool // another package depends on them
}

func (a *archive) run(_ context.Context, cmd lab.Command) (lab.Result, error) {
	last := cmd.Argv[len(cmd.Argv)-1]
	switch line := strings.Join(cmd.Argv[:2], " "); {
	case cmd.Argv[0] == "cat":
		return lab.Result{Code: 1, Stderr: []byte("No such file or directory")}, nil
	case line == "dpkg-query --show":
		if a.state[last] == "" {
			return lab.Result{Code: 1, Stderr: []byte("no packages found matching " + last)}, nil
		}
		return lab.Result{Stdout: []byte(a.state[last] + " 1.14.10-1~deb12u1")}, nil
	case line == "sh -c":
		a.saved[last] = true
		return lab.Result{}, nil
	case line == "dpkg --remove":
		if a.needed {
			return lab.Result{Code: 1, Stderr: []byte("dependency problems prevent removal")}, nil
		}
		for _, p := range cmd.Argv[2:] {
			a.state[p] = "config-files"
		}
		return lab.Result{}, nil
	case line == "dpkg --install":
		for _, file := range cmd.Argv[3:] {
			if !a.saved[file] {
				return lab.Result{Code: 1}, nil
			}
			a.state[strings.TrimSuffix(file[strings.LastIndex(file, "/")+1:], ".deb")] = "installed"
		}
		return lab.Result{}, nil
	}
	return lab.Result{}, fmt.Errorf("the test's machine does not know %q", cmd.Argv)
}

func TestPackageRemove(t *testing.T) {
	a := &archive{state: map[string]string{"dbus-user-session": "installed", "slirp4netns": "installed"}, saved: map[string]bool{}}
	env, m := world(t, a.run)
	f := &PackageRemove{Machine: "machine.server", Packages: []string{"dbus-user-session", "slirp4netns"}}
	wantError(t, f.Verify(t.Context(), env), "cannot read what the fault did")
	if err := f.Heal(t.Context(), env); err != nil || ran(m, "dpkg --install") != 0 {
		t.Errorf("healing what was not broken: %v", err)
	}
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(t.Context(), env); err != nil {
		t.Error(err)
	}
	if ran(m, "dpkg --remove dbus-user-session slirp4netns") != 1 || !slices.Contains(env.Said(), "package slirp4netns 1.14.10-1~deb12u1 is removed") {
		t.Errorf("ran %v, said %q", m.Commands(), env.Said())
	}
	a.state["slirp4netns"] = "installed" // a remedy did that
	wantError(t, f.Verify(t.Context(), env), "package slirp4netns 1.14.10-1~deb12u1 is installed")
	for range 2 {
		if err := f.Heal(t.Context(), env); err != nil {
			t.Fatal(err)
		}
	}
	if a.state["dbus-user-session"] != "installed" || ran(m, "dpkg --install --force-confold "+savedPackage("dbus-user-session")) != 1 || ran(m, "dpkg --install") != 1 {
		t.Errorf("after healing: %v, ran %v", a.state, m.Commands())
	}
}

func TestPackageRemoveCannot(t *testing.T) {
	a := &archive{state: map[string]string{"podman": "installed"}, saved: map[string]bool{}, needed: true}
	env, _ := world(t, a.run)
	wantError(t, (&PackageRemove{Machine: "machine.server", Packages: []string{"dbus-user-session"}}).Inject(t.Context(), env),
		"cannot remove package dbus-user-session: it is not installed on machine.server")
	f := &PackageRemove{Machine: "machine.server", Packages: []string{"podman"}}
	wantError(t, f.Inject(t.Context(), env), "dependency problems prevent removal")
	wantError(t, f.Verify(t.Context(), env), "package podman 1.14.10-1~deb12u1 is installed")
	if err := f.Heal(t.Context(), env); err != nil {
		t.Error(err)
	}
}
