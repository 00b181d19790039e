package guest_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/container"
	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// realLab is a machine with one account in each kind of session, and a service image in the shared store.
func realLab() *lab.Lab {
	return &lab.Lab{
		Dir: "testdata",
		Images: []lab.Image{
			// The same packages as in the tests of package container: one image serves both.
			{Name: "host", Debian: "bookworm", Packages: []string{
				"podman", "dbus-user-session", "slirp4netns", "uidmap", "aardvark-dns", "iptables", "iproute2", "iputils-ping"}},
			{Name: "app", Go: "app"},
		},
		Machines: []lab.Machine{{Name: "server", Image: "image.host", Accounts: accounts}},
		Stacks:   []lab.Stack{{Name: "web", Machine: "machine.server", Account: "lin", Images: []lab.ImageRef{"image.app"}}},
	}
}

// realMachine starts a machine and connects to its agent, beside the driver.
func realMachine(t *testing.T) *guest.Client {
	t.Helper()
	c, _ := realMachineAt(t)
	return c
}

func realMachineAt(t *testing.T) (c *guest.Client, socket string) {
	t.Helper()
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("starts real machines; set SAIGEN_REAL=1")
	}
	const id = lab.RunID("guest")
	p, err := drivertest.NewPlace(t.TempDir(), id, container.Undoers()...)
	if err != nil {
		t.Fatal(err)
	}
	driver := container.New(container.Options{
		Self: p.Self, Images: p.Images, Runtime: p.Runtime(), Scratch: p.Scratch, Ledger: p.LedgerOf, Log: p.Log,
	})
	l := realLab()
	drivertest.Open(t, driver, l)
	drivertest.Start(t, driver, id, l, 0)
	found, err := filepath.Glob(filepath.Join(p.Runtime(), string(id), "server", "agent.sock"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the machine's socket is not where the driver said: %v, %v", found, err)
	}
	return dial(t, found[0]), found[0]
}

func dial(t *testing.T, socket string) *guest.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := guest.Dial(ctx, socket)
	if err != nil {
		t.Fatal(drivertest.Explain(err))
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
