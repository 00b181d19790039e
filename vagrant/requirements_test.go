package vagrant

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSessionsAreRefused(t *testing.T) {
	for uri, fits := range map[string]bool{
		"qemu:///system": true, "qemu+ssh://host/system?socket=/session": true, "qemu:///session": false, "qemu:///session?socket=x": false,
	} {
		if err := checkURI(uri); (err == nil) != fits {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

// Every requirement says what needs it and how to get it, and none is there on a host without programs.
func TestRequirementsOfAnEmptyHost(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("VAGRANT_DEFAULT_PROVIDER", "")
	all := Requirements()
	if len(all) != 5 {
		t.Errorf("%d requirements", len(all))
	}
	for _, r := range all {
		if r.Fix == "" || r.Needed == "" || r.Check(t.Context()) == nil {
			t.Errorf("%s: fix %q, needed by %q, or it is there", r.Name, r.Fix, r.Needed)
		}
	}
	t.Setenv("VAGRANT_DEFAULT_PROVIDER", "virtualbox")
	for _, r := range Requirements() {
		if strings.Contains(r.Name, "libvirt") || r.Name == "virsh" {
			t.Errorf("virtualbox needs %s", r.Name)
		}
	}
}

func TestProviderIsAPluginOrAProgram(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":/bin:/usr/bin")
	write := func(name, script string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	users := filepath.Join(bin, "users")
	t.Setenv("VAGRANT_HOME", users)
	write("vagrant", "mkdir -p $VAGRANT_HOME; echo 'vagrant-share (1.0, global)'")
	if err := checkProvider(t.Context()); err == nil {
		t.Error("a Vagrant without a provider is enough")
	}
	if got := defaultProvider(t.Context()); got != "virtualbox" {
		t.Errorf("without plugins the provider is %q", got)
	}
	if _, err := os.Stat(users); err == nil {
		t.Error("the user got a folder from being asked")
	}
	write("vagrant", "echo 'vagrant-libvirt (0.11.2, system)'")
	if err := checkProvider(t.Context()); err != nil {
		t.Error(err)
	}
	if got := defaultProvider(t.Context()); got != "libvirt" {
		t.Errorf("with the plugin the provider is %q", got)
	}
}
