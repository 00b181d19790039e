package vagrant

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// fakeVagrant knows its machines by files in VAGRANT_HOME, and writes down what it was asked.
const fakeVagrant = `echo "$@" >> "$VAGRANT_HOME/../asked"
for last; do :; done
case "$1" in
up) mkdir -p "$VAGRANT_DOTFILE_PATH/machines/$last/virtualbox"; echo x > "$VAGRANT_DOTFILE_PATH/machines/$last/virtualbox/id"; echo "it boots";;
ssh-config) echo "Host $2";;
status) if [ -e "$VAGRANT_DOTFILE_PATH/machines/$last" ]; then echo "1,$last,state,running"; else echo "1,$last,state,not_created"; fi;;
destroy) rm -rf "$VAGRANT_DOTFILE_PATH/machines/$last";;
esac
`

// fakeDriver is a driver with a Vagrant, an ssh and a lab of which nothing is real.
func fakeDriver(t *testing.T, ssh string) (*Driver, *lab.Lab, string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range map[string]string{"vagrant": fakeVagrant, "ssh": ssh} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("VAGRANT_HOME", filepath.Join(dir, "users"))
	led, err := ledger.Open(dir, "r1", Undoers()...)
	if err != nil {
		t.Fatal(err)
	}
	d := New(Options{
		Self:    "/bin/true",
		Runtime: filepath.Join(dir, "runtime"),
		Scratch: func(lab.RunID) string { return filepath.Join(dir, "scratch") },
		Ledger:  func(lab.RunID) (*ledger.Ledger, error) { return led, nil },
		Log:     slog.New(slog.DiscardHandler),
	})
	l := &lab.Lab{Machines: []lab.Machine{{Name: "server"}}}
	d.dialTime = 0
	err = d.prepared.Once(l, func() (*prepared, error) {
		return &prepared{provider: "virtualbox", boxes: map[string]box{"server": {name: "b", file: "b.box"}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return d, l, filepath.Join(dir, "scratch", "vagrant", "0")
}

// What does not come up is explained, and nothing of it stays.
func TestMachineWithoutAgent(t *testing.T) {
	d, l, dir := fakeDriver(t, "cat > /dev/null & echo 'Permission denied (publickey).' >&2; exit 255\n")
	_, err := d.Start(t.Context(), "r1", l, l.Machines[0])
	var infra *lab.InfraError
	if !errors.As(err, &infra) {
		t.Fatalf("the error is %v", err)
	}
	if want := "cannot start machine.server: requirement 1 of 5 does not hold: saigen's agent answers"; infra.What != want {
		t.Errorf("the error says %q", infra.What)
	}
	if !strings.Contains(err.Error(), "Permission denied (publickey).") || !strings.Contains(infra.Tail, "it boots") || infra.Hint == "" {
		t.Errorf("the error is %v, its tail %q, its hint %q", err, infra.Tail, infra.Hint)
	}
	asked, err := os.ReadFile(filepath.Join(dir, "asked"))
	const want = `box add --name b --provider virtualbox --force b.box
up --no-parallel --no-destroy-on-error --provider virtualbox server
ssh-config server
destroy --force server
status --machine-readable server
`
	if err != nil || string(asked) != want {
		t.Errorf("Vagrant was asked\n%s, %v", asked, err)
	}
	for range 2 {
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Dir(dir)); err == nil {
		t.Error("the run's environments are left")
	}
}

func TestStartOfARunThatIsOver(t *testing.T) {
	d, l, dir := fakeDriver(t, "exit 1\n")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Start(over, "r1", l, l.Machines[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if _, err := d.Restore(over, "r1", l, "key"); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was made")
	}
}

func TestLabThatWasNotPrepared(t *testing.T) {
	d, l, _ := fakeDriver(t, "exit 1\n")
	if _, err := d.Start(t.Context(), "r1", &lab.Lab{}, l.Machines[0]); err == nil || !strings.Contains(err.Error(), "not prepared") {
		t.Errorf("the error is %v", err)
	}
}

// stranger is a machine of another driver.
type stranger struct{ lab.Running }

func (stranger) Ref() lab.MachineRef { return "machine.server" }

func TestSnapshotsOfStrangers(t *testing.T) {
	d, l, _ := fakeDriver(t, "exit 1\n")
	for _, machines := range [][]lab.Running{nil, {stranger{}}, {stranger{}, stranger{}}} {
		if err := d.Save(t.Context(), "r1", l, "key", machines); err == nil {
			t.Errorf("%d machines of another driver were saved", len(machines))
		}
	}
	if _, err := d.Restore(t.Context(), "r1", l, "key"); !errors.Is(err, lab.ErrNoSnapshot) {
		t.Errorf("what was never saved comes back: %v", err)
	}
}

// Without snapshots the machines go on.
func TestProviderWithoutSnapshots(t *testing.T) {
	e := fake(t, `echo "The provider does not support snapshots" >&2; exit 1`)
	l := &lab.Lab{Machines: []lab.Machine{{Name: "server"}}}
	d := New(Options{Log: slog.New(slog.DiscardHandler)})
	v := &machine{ref: "machine.server", name: "server", e: e}
	if err := d.Save(t.Context(), "r1", l, "key", []lab.Running{v}); !errors.Is(err, lab.ErrNoSnapshot) {
		t.Errorf("the error is %v", err)
	}
	if v.destroyed {
		t.Error("the machine was destroyed")
	}
}

func TestPrepareOfATeamsVagrantfile(t *testing.T) {
	dir := t.TempDir()
	l := &lab.Lab{Dir: dir, Vagrant: &lab.Vagrant{File: "vm/Vagrantfile", Provider: "virtualbox"}, Machines: []lab.Machine{{Name: "server"}}}
	d := New(Options{})
	if err := d.Prepare(t.Context(), l, t.Logf); err == nil {
		t.Error("a file that is not there was found")
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "vm"), 0o755), os.WriteFile(filepath.Join(dir, "vm", "Vagrantfile"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := d.Prepare(t.Context(), l, t.Logf); err != nil {
		t.Fatal(err)
	}
	if p, err := d.prepared.Of(l); err != nil || p.provider != "virtualbox" || p.folder != filepath.Join(dir, "vm") {
		t.Errorf("prepared is %+v", p)
	}
}

func TestPrepareFetchesTheBox(t *testing.T) {
	l := &lab.Lab{
		Vagrant:  &lab.Vagrant{Box: "https://example.com/x.box", Checksum: "sha256:0123456789abcdef", Provider: "libvirt"},
		Machines: []lab.Machine{{Name: "server"}},
	}
	if err := New(Options{}).Prepare(t.Context(), l, t.Logf); err == nil {
		t.Error("a box was fetched by nobody")
	}
	d := New(Options{Fetch: func(_ context.Context, source, checksum string) (string, error) {
		return "/got/" + source + " " + checksum, nil
	}})
	for range 2 {
		if err := d.Prepare(t.Context(), l, t.Logf); err != nil {
			t.Fatal(err)
		}
	}
	want := box{name: "saigen-0123456789ab", file: "/got/https://example.com/x.box sha256:0123456789abcdef"}
	if p, err := d.prepared.Of(l); err != nil || p.boxes["server"] != want || len(p.boots) > 0 {
		t.Errorf("prepared is %+v", p)
	}
}
