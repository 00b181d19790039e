package vagrant

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fake puts a program called vagrant before all others, and returns an environment that uses it.
func fake(t *testing.T, script string) *environment {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "vagrant"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	e, _, _ := sample("virtualbox")
	e.Dir = t.TempDir()
	if err := errors.Join(os.MkdirAll(e.root(), 0o700), os.MkdirAll(e.home(), 0o700)); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestVagrantsOwnFolders(t *testing.T) {
	t.Setenv("VAGRANT_HOME", "/the/users/own")
	t.Setenv("VAGRANT_VAGRANTFILE", "Otherfile")
	e := fake(t, `echo "$@"; env | grep ^VAGRANT_ | sort; pwd`)
	out, err := e.vagrant(t.Context(), "up", "server")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"up server", "VAGRANT_BOX_UPDATE_CHECK_DISABLE=1", "VAGRANT_CHECKPOINT_DISABLE=1", "VAGRANT_CWD=" + e.root(),
		"VAGRANT_DOTFILE_PATH=" + e.dotfile(), "VAGRANT_HOME=" + e.home(), "VAGRANT_IGNORE_WINRM_PLUGIN=1", "VAGRANT_NO_COLOR=1",
		e.root(), "",
	}, "\n")
	if out != want {
		t.Errorf("vagrant saw\n%s\nnot\n%s", out, want)
	}
}

func TestVagrantThatFails(t *testing.T) {
	e := fake(t, `echo begun; printf 'Progress: 1%%\rProgress: 2%%\r\033[Kdone  \n'; echo 'x.rb:1: it broke (E)' >&2; printf '\tfrom /usr/lib/y.rb:2\n' >&2; exit 3`)
	_, err := e.vagrant(t.Context(), "up")
	var failed *toolError
	if !errors.As(err, &failed) {
		t.Fatalf("the error is %v", err)
	}
	if got := err.Error(); got != "vagrant up: x.rb:1: it broke (E)" {
		t.Errorf("the error says %q", got)
	}
	lines := strings.Split(failed.tail, "\n") // of two streams: either may come first
	slices.Sort(lines)
	if !slices.Equal(lines, []string{"begun", "done", "x.rb:1: it broke (E)"}) {
		t.Errorf("the tail is %q", lines)
	}
}

func TestVagrantIsKilledWithAllThatItStarted(t *testing.T) {
	e := fake(t, `sleep 1000 & echo $! > "$VAGRANT_HOME/pid"; wait`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	file := filepath.Join(e.home(), "pid")
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if data, err := os.ReadFile(file); err == nil && strings.HasSuffix(string(data), "\n") {
				return
			}
			<-time.After(time.Millisecond)
		}
	}()
	if _, err := e.vagrant(ctx, "up"); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled vagrant ends with %v", err)
	}
	pid, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gone := func() bool { // killed, it takes a moment to go
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	}
	for deadline := time.Now().Add(10 * time.Second); !gone(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("what it started still runs: %s", pid)
		}
	}
}

func TestMachineState(t *testing.T) {
	const out = "1795365447,server,metadata,provider,libvirt\n1795365447,client,state,running\n" +
		"1795365447,server,state,not_created\n1795365447,server,state-human-short,not created\n"
	for machine, want := range map[string]string{"server": "not_created", "client": "running", "other": ""} {
		if got := machineState(out, machine); got != want {
			t.Errorf("%s is %q, not %q", machine, got, want)
		}
	}
}

// What Vagrant does not know of is not its to remove, and what it does not remove is an error.
func TestDestroyVerifies(t *testing.T) {
	e := fake(t, `case "$1" in status) echo "1,$3,state,$(cat "$VAGRANT_HOME/state")";; destroy) echo "$@" >> "$VAGRANT_HOME/asked"; [ -e "$VAGRANT_HOME/stuck" ] || echo not_created > "$VAGRANT_HOME/state";; esac`)
	state, asked := filepath.Join(e.home(), "state"), filepath.Join(e.home(), "asked")
	put := func(name, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	put(state, "not_created")
	if err := e.destroy(t.Context(), "server"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(asked); err == nil {
		t.Error("Vagrant was asked to destroy a machine that it does not know")
	}
	put(filepath.Join(e.machineDir("server"), "id"), "x")
	put(state, "running")
	if err := e.destroy(t.Context(), "server"); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(asked); err != nil || string(data) != "destroy --force server\n" {
		t.Errorf("Vagrant was asked %q, %v", data, err)
	}
	put(state, "running")
	put(filepath.Join(e.home(), "stuck"), "")
	if err := e.destroy(t.Context(), "server"); err == nil || !strings.Contains(err.Error(), `Vagrant says "running"`) {
		t.Errorf("a machine that stays gives %v", err)
	}
}

func TestUndoOfWhatWasNeverMade(t *testing.T) {
	if e, err := load(filepath.Join(t.TempDir(), "gone")); e != nil || err != nil {
		t.Errorf("it loads %v, %v", e, err)
	}
	e, _, _ := sample("libvirt")
	e.Dir = t.TempDir()
	if err := e.save(); err != nil {
		t.Fatal(err)
	}
	again, err := load(e.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.removeAll(t.Context()); err != nil { // libvirt is not asked: nothing was made there
		t.Error(err)
	}
}

// A user's plugins are found without his boxes and settings.
func TestPlugins(t *testing.T) {
	users := t.TempDir()
	t.Setenv("VAGRANT_HOME", users)
	e := fake(t, "")
	if err := e.plugins(); err != nil {
		t.Errorf("without plugins: %v", err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(users, "plugins.json"), []byte("{}"), 0o600), os.Mkdir(filepath.Join(users, "gems"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := e.plugins(); err != nil {
		t.Fatal(err)
	}
	if link, err := os.Readlink(filepath.Join(e.home(), "gems")); err != nil || link != filepath.Join(users, "gems") {
		t.Errorf("gems leads to %q, %v", link, err)
	}
	if _, err := os.Stat(filepath.Join(e.home(), "plugins.json")); err != nil {
		t.Error(err)
	}
}
