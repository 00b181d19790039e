package diff_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/container"
	"github.com/saigen-lab/saigen/diff"
	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// TestMain makes this test binary the agent in its machines, and the engine of the container driver.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "guest":
			os.Exit(guest.Main(os.Args[2:], nil))
		case "engine":
			os.Exit(container.EngineMain(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

// realMachine is a machine with two accounts that are the same, and one that is not. The packages are those of the lab
// stale-dns, so that one image serves both.
func realMachine(t *testing.T, debian string) lab.Running {
	t.Helper()
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("starts real machines; set SAIGEN_REAL=1")
	}
	id := lab.RunID(fmt.Sprintf("t-diff-%s-%d", debian, os.Getpid()))
	p, err := drivertest.NewPlace(t.TempDir(), id, container.Undoers()...)
	if err != nil {
		t.Fatal(err)
	}
	driver := container.New(container.Options{
		Self: p.Self, Images: p.Images, Runtime: p.Runtime(), Scratch: p.Scratch, Ledger: p.LedgerOf, Log: p.Log,
	})
	packages := []string{"aardvark-dns", "dbus-user-session", "netavark", "podman", "podman-compose", "uidmap"}
	if debian == "bookworm" {
		packages = append(packages, "iptables", "slirp4netns")
	} else {
		packages = append(packages, "nftables", "passt")
	}
	l := &lab.Lab{
		Images: []lab.Image{{Name: "host", Debian: debian, Packages: packages}},
		Machines: []lab.Machine{{Name: "server", Image: "image.host", Accounts: []lab.Account{
			{Name: "alice", Session: lab.SessionLinger}, {Name: "bob", Session: lab.SessionLinger}, {Name: "carol", Session: lab.SessionLogin},
		}}},
	}
	drivertest.Open(t, driver, l)
	return drivertest.Start(t, driver, id, l, 0)
}

func compare(t *testing.T, m lab.Running, a, b string) []string {
	t.Helper()
	x, y, err := diff.Accounts(t.Context(), m, a, b)
	if err != nil {
		t.Fatal(err)
	}
	topics := map[string]int{}
	for _, f := range x.Facts {
		topics[f.Topic]++
	}
	t.Logf("%d facts of %s: %v", len(x.Facts), a, topics)
	var lines []string
	for _, d := range diff.Compare(x.Facts, y.Facts, x.Who.Alike, y.Who.Alike) {
		lines = append(lines, d.Topic+": "+d.Name+": "+side(d.A)+" / "+side(d.B))
	}
	return lines
}

func side(v *string) string {
	if v == nil {
		return "-"
	}
	return *v
}

// Two accounts that were made alike do not differ, with containers and without; whatever is then done to one of them is
// among the first five lines.
func TestRealAccounts(t *testing.T) {
	for _, debian := range []string{"bookworm", "trixie"} {
		t.Run(debian, func(t *testing.T) {
			m := realMachine(t, debian)
			for range 2 { // podman has run before the second time
				if lines := compare(t, m, "alice", "bob"); len(lines) > 0 {
					t.Fatalf("two equal accounts differ:\n%s", strings.Join(lines, "\n"))
				}
			}
			for _, c := range []struct {
				name, as, do, undo string
				cause              string
			}{
				{"group", "", "groupadd -f pets && usermod -aG pets bob", "gpasswd -d bob pets", "groups: pets: - / member"},
				{"open files", "bob", "prlimit --nofile=512: --pid $(pgrep -u bob -x saigen)", "prlimit --nofile=1024: --pid $(pgrep -u bob -x saigen)",
					"limits: max open files: "},
				{"orphan", "", "systemd-run -q --unit=orphan --uid=bob tail -f /dev/null", "systemctl stop orphan",
					"orphans: tail outside the account's slice, in /system.slice/orphan.service: - / there"},
				{"no user bus", "bob", "systemctl --user -q stop dbus.socket dbus.service", "systemctl --user start dbus.socket && busctl --user list >/dev/null",
					"session: user bus answers: yes / "},
				{"storage driver", "bob", `sed -i 's/"overlay"/"vfs"/' ~/.config/containers/storage.conf`, `sed -i 's/"vfs"/"overlay"/' ~/.config/containers/storage.conf`,
					`configuration: ~/.config/containers/storage.conf [storage] driver: "overlay" / "vfs"`},
				{"stale dns", "bob", `d=$XDG_RUNTIME_DIR/containers/networks/aardvark-dns; mkdir -p $d; i=$(printf %064d 1); printf '10.89.0.1\n%s 10.89.0.2  app\n' $i > $d/net`,
					"rm -r $XDG_RUNTIME_DIR/containers/networks/aardvark-dns", "container dns: net: app: - / 1 address"},
				{"no linger", "", "loginctl disable-linger bob", "", "session: linger: yes / no"},
			} {
				drivertest.Sh(t, m, c.as, c.do)
				lines := compare(t, m, "alice", "bob")
				text := strings.Join(lines, "\n")
				t.Logf("%s:\n%s", c.name, text)
				if !strings.Contains(strings.Join(lines[:min(5, len(lines))], "\n"), c.cause) {
					t.Errorf("%s: %q is not among the first five lines of\n%s", c.name, c.cause, text)
				}
				if c.undo != "" {
					drivertest.Sh(t, m, c.as, c.undo)
				}
			}
			lines := compare(t, m, "alice", "carol")
			if len(lines) == 0 || !strings.HasPrefix(lines[0], "session: linger: yes / no") {
				t.Errorf("an account that lingers, and one that is logged in:\n%s", strings.Join(lines, "\n"))
			}
		})
	}
}

// What is collected from a real machine explains, and every account is asked.
func TestRealCollect(t *testing.T) {
	m := realMachine(t, "bookworm")
	spec := lab.Machine{Name: "server", Accounts: []lab.Account{{Name: "alice"}, {Name: "carol"}}}
	files := map[string]string{}
	err := diff.Collect(t.Context(), m, spec, func(name string, data []byte) error {
		files[name] = string(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"processes": "systemd --user", "units": "user@", "network": "$ iptables-save", "kernel": "kernel.pid_max",
		"account-alice": "graphDriverName: overlay", "account-carol": "XDG_RUNTIME_DIR=/run/user/",
	} {
		if !strings.Contains(files[file], want) {
			t.Errorf("%s has no %q:\n%s", file, want, files[file])
		}
	}
	seen := diff.Seen(t.Context(), m, spec)
	if a := seen["alice"]; a["HOME"] != "/home/alice" || a["limit of max open files"] == "" || a["groups"] != "alice" {
		t.Errorf("alice sees %v", a)
	}
}
