// Package drivertest is what the tests of drivers share, besides labtest's conformance: labs of a machine or two, a place
// for a driver's things, and the host before and after. Only tests may use it.
package drivertest

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

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// host is a smaller image than the labs', with what the tests use. It is the same for all drivers: it is built once.
var host = lab.Image{Name: "host", Debian: "bookworm", Packages: []string{
	"podman", "dbus-user-session", "slirp4netns", "uidmap", "aardvark-dns", "iptables", "iproute2", "iputils-ping",
}}

// OneMachine is a lab with a machine called server and an account alice, who lingers.
func OneMachine() *lab.Lab {
	return &lab.Lab{Name: "one", Images: []lab.Image{host}, Machines: []lab.Machine{{
		Name: "server", Image: "image.host",
		Accounts: []lab.Account{{Name: "alice", Session: lab.SessionLinger}},
	}}}
}

// TwoMachines is a lab with machines called server and client.
func TwoMachines() *lab.Lab {
	return &lab.Lab{Name: "two", Images: []lab.Image{host}, Machines: []lab.Machine{
		{Name: "server", Image: "image.host"}, {Name: "client", Image: "image.host"},
	}}
}

// Place is where a driver of a test has its things, for one run.
type Place struct {
	Self   string // the test's binary, which is saigen in machines
	Images *image.Cache
	Ledger *ledger.Ledger
	Log    *slog.Logger

	dir string
}

// NewPlace makes it in dir. Images are kept in the user's cache: building one takes minutes.
func NewPlace(dir string, id lab.RunID, undoers ...ledger.Option) (*Place, error) {
	p := &Place{dir: dir, Log: slog.New(slog.DiscardHandler)}
	if err := os.MkdirAll(p.Scratch(id), 0o700); err != nil {
		return nil, err
	}
	var err error
	if p.Ledger, err = ledger.Open(p.Scratch(id), id, undoers...); err != nil {
		return nil, err
	}
	if p.Self, err = os.Executable(); err != nil {
		return nil, err
	}
	if flag.Parsed() && testing.Verbose() { // Abandon comes before the flags
		p.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	p.Images, err = Images(p.Log)
	return p, err
}

// Images is the user's cache.
func Images(log *slog.Logger) (*image.Cache, error) {
	cache := os.Getenv("SAIGEN_IMAGE_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		cache = filepath.Join(user, "saigen")
	}
	return image.New(cache, log), nil
}

// Runs has a folder for each run, the ledger in it.
func (p *Place) Runs() string { return filepath.Join(p.dir, "runs") }

// Runtime is what drivers want to know; so are Scratch and LedgerOf.
func (p *Place) Runtime() string { return filepath.Join(p.dir, "r") }

// Scratch is a run's folder.
func (p *Place) Scratch(id lab.RunID) string { return filepath.Join(p.Runs(), string(id)) }

// LedgerOf is the place's, whatever the run.
func (p *Place) LedgerOf(lab.RunID) (*ledger.Ledger, error) { return p.Ledger, nil }

// Open prepares a lab, and closes the driver when the test ends.
func Open(t testing.TB, d interface {
	lab.Driver
	Close(ctx context.Context) error
}, l *lab.Lab,
) {
	t.Helper()
	t.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := d.Prepare(t.Context(), l, t.Logf); err != nil {
		t.Fatal(Explain(err))
	}
}

// Start starts a lab's i-th machine.
func Start(t testing.TB, d lab.Driver, id lab.RunID, l *lab.Lab, i int) lab.Running {
	t.Helper()
	began := time.Now()
	m, err := d.Start(t.Context(), id, l, l.Machines[i])
	if err != nil {
		t.Fatal(Explain(err))
	}
	t.Logf("%s up in %.2f s", m.Ref(), time.Since(began).Seconds())
	return m
}

// Abandon is a saigen that is killed in the middle of a run, once it has printed "up".
func Abandon(d lab.Driver, id lab.RunID, l *lab.Lab) {
	err := d.Prepare(context.Background(), l, func(string, ...any) {})
	if err == nil {
		_, err = d.Start(context.Background(), id, l, l.Machines[0])
	}
	if err != nil {
		fmt.Fprintln(os.Stdout, Explain(err))
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, "up")
	select {}
}

// Explain says all that an error knows.
func Explain(err error) string {
	var infra *lab.InfraError
	if errors.As(err, &infra) {
		return fmt.Sprintf("%v\nhint: %s\n%s", err, infra.Hint, infra.Tail)
	}
	return err.Error()
}

// Sh runs a script in a machine, which must succeed, and returns what it prints.
func Sh(t testing.TB, m lab.Running, account, script string) string {
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

// Take looks at the host, and at what is below dir.
func Take(t testing.TB, dir string) ledger.Inventory {
	t.Helper()
	v, err := ledger.Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// NewThings are a run's on the host since before. Other processes may use the host: only the run's things count.
func NewThings(t testing.TB, before ledger.Inventory, dir string, id lab.RunID) []ledger.Leftover {
	t.Helper()
	return before.Left(Take(t, dir), ledger.OfRun(id))
}

// NothingLeft demands that there are none but the run's ledger.
func NothingLeft(t testing.TB, before ledger.Inventory, dir string, id lab.RunID) {
	t.Helper()
	for _, l := range NewThings(t, before, dir, id) {
		if name := filepath.Base(l.What); name != string(id) && !strings.HasPrefix(name, "ledger.") {
			t.Error(l)
		}
	}
}
