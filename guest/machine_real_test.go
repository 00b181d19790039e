package guest_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/container"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
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
	dir := t.TempDir()
	const id = lab.RunID("guest")
	runFolder := filepath.Join(dir, "runs", string(id))
	if err := os.MkdirAll(runFolder, 0o700); err != nil {
		t.Fatal(err)
	}
	undo, err := ledger.Open(runFolder, id, container.Undoers()...)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	driver := container.New(container.Options{
		Self:    self,
		Images:  image.New(imageCache(t), log),
		Runtime: filepath.Join(dir, "r"),
		Scratch: func(lab.RunID) string { return runFolder },
		Ledger:  func(lab.RunID) (*ledger.Ledger, error) { return undo, nil },
		Log:     log,
	})
	t.Cleanup(func() {
		if err := driver.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	l := realLab()
	if err := driver.Prepare(t.Context(), l, t.Logf); err != nil {
		t.Fatal(explain(err))
	}
	if _, err := driver.Start(t.Context(), id, l, l.Machines[0]); err != nil {
		t.Fatal(explain(err))
	}
	found, err := filepath.Glob(filepath.Join(dir, "r", string(id), "server", "agent.sock"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the machine's socket is not where the driver said: %v, %v", found, err)
	}
	return dial(t, found[0]), found[0]
}

// imageCache is the user's: building an image takes minutes.
func imageCache(t *testing.T) string {
	t.Helper()
	if cache := os.Getenv("SAIGEN_IMAGE_CACHE"); cache != "" {
		return cache
	}
	user, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(user, "saigen")
}

func dial(t *testing.T, socket string) *guest.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := guest.Dial(ctx, socket)
	if err != nil {
		t.Fatal(explain(err))
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
