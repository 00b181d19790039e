package qemu

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// The test binary is saigen here: it is the agent in the machines.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "guest" {
		os.Exit(guest.Main(os.Args[2:], assertions.Kinds()))
	}
	if dir := os.Getenv("SAIGEN_TEST_ABANDON"); dir != "" {
		abandon(dir)
	}
	os.Exit(m.Run())
}

// real skips a test that starts machines, unless it was asked for.
func real(t testing.TB) {
	t.Helper()
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("starts real machines; set SAIGEN_REAL=1")
	}
}

// host is a smaller image than the labs', with what the tests use; the container driver's tests use the same.
var host = lab.Image{Name: "host", Debian: "bookworm", Packages: []string{
	"podman", "dbus-user-session", "slirp4netns", "uidmap", "aardvark-dns", "iptables", "iproute2", "iputils-ping",
}}

func oneMachine() *lab.Lab {
	return &lab.Lab{Images: []lab.Image{host}, Machines: []lab.Machine{{
		Name: "server", Image: "image.host",
		Accounts: []lab.Account{{Name: "alice", Session: lab.SessionLinger}},
	}}}
}

func twoMachines() *lab.Lab {
	return &lab.Lab{Images: []lab.Image{host}, Machines: []lab.Machine{
		{Name: "server", Image: "image.host", Memory: "512MiB", CPUs: 1}, {Name: "client", Image: "image.host", Memory: "512MiB", CPUs: 1},
	}}
}

// bench is a driver with folders of its own.
type bench struct {
	*Driver
	dir string
	id  lab.RunID
	l   *ledger.Ledger
}

func (b *bench) runs() string { return filepath.Join(b.dir, "runs") }

// newBench makes a driver for a run. Images are kept in the user's cache: building one takes minutes.
func newBench(dir string, id lab.RunID) (*bench, error) {
	cache := os.Getenv("SAIGEN_IMAGE_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		cache = filepath.Join(user, "saigen")
	}
	b := &bench{dir: dir, id: id}
	if err := os.MkdirAll(filepath.Join(b.runs(), string(id)), 0o700); err != nil {
		return nil, err
	}
	var err error
	if b.l, err = ledger.Open(filepath.Join(b.runs(), string(id)), id, Undoers()...); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	if flag.Parsed() && testing.Verbose() { // abandon comes before the flags
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	b.Driver = New(Options{
		Self:    self,
		Images:  image.New(cache, log),
		Runtime: filepath.Join(dir, "r"),
		Scratch: func(id lab.RunID) string { return filepath.Join(b.runs(), string(id)) },
		Ledger:  func(lab.RunID) (*ledger.Ledger, error) { return b.l, nil },
		Log:     log,
	})
	return b, nil
}

func open(t testing.TB, id lab.RunID, l *lab.Lab) *bench {
	t.Helper()
	b, err := newBench(t.TempDir(), id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := b.Prepare(t.Context(), l, t.Logf); err != nil {
		t.Fatal(explain(err))
	}
	return b
}

// explain says all that an error knows.
func explain(err error) string {
	var infra *lab.InfraError
	if errors.As(err, &infra) {
		return fmt.Sprintf("%v\nhint: %s\n%s", err, infra.Hint, infra.Tail)
	}
	return err.Error()
}

func start(t testing.TB, b *bench, l *lab.Lab, i int) lab.Running {
	t.Helper()
	began := time.Now()
	m, err := b.Start(t.Context(), b.id, l, l.Machines[i])
	if err != nil {
		t.Fatal(explain(err))
	}
	t.Logf("%s up in %.2f s", m.Ref(), time.Since(began).Seconds())
	return m
}

func sh(t testing.TB, m lab.Running, account, script string) string {
	t.Helper()
	cmd := lab.Command{Argv: []string{"sh", "-c", script}, Account: account}
	res, err := m.Run(t.Context(), cmd)
	if err == nil {
		err = res.Err(cmd)
	}
	if err != nil {
		t.Fatalf("%s: %v", m.Ref(), err)
	}
	return strings.TrimSpace(string(res.Stdout))
}

func take(t *testing.T, dir string) ledger.Inventory {
	t.Helper()
	v, err := ledger.Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newThings(t *testing.T, before ledger.Inventory, dir string, id lab.RunID) []ledger.Leftover {
	t.Helper()
	return before.Left(take(t, dir), ledger.OfRun(id))
}

// nothingLeft compares the host with what it was. Other processes may use the host: only the run's things count.
func nothingLeft(t *testing.T, before ledger.Inventory, dir string, id lab.RunID) {
	t.Helper()
	for _, l := range newThings(t, before, dir, id) {
		if name := filepath.Base(l.What); name != string(id) && !strings.HasPrefix(name, "ledger.") { // the ledger itself stays
			t.Error(l)
		}
	}
}

// abandon is a saigen that is killed in the middle of a run.
func abandon(dir string) {
	err := func() error {
		b, err := newBench(dir, "t-killed")
		if err != nil {
			return err
		}
		l := twoMachines()
		if err := b.Prepare(context.Background(), l, func(string, ...any) {}); err != nil {
			return err
		}
		_, err = b.Start(context.Background(), b.id, l, l.Machines[0])
		return err
	}()
	if err != nil {
		fmt.Fprintln(os.Stdout, explain(err))
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, "up")
	select {}
}

func splitLines(data []byte) func(func(string) bool) { return strings.Lines(string(data)) }
