package labs

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// The verdict of the first incident must not depend on the boundary: what TestRealLabs shows with the driver container,
// these tests show with VMs.

// needVMs skips a test that runs labs on VMs, unless it is asked for.
func needVMs(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv("SAIGEN_VMS") != "1" {
		t.Skip("takes ten minutes for each variant where there is no KVM: make test-vms")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("there is no %s", p)
		}
	}
}

// host runs saigen with folders of its own.
type host struct {
	t      *testing.T
	binary string
	dir    string
	env    []string
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir, err := os.MkdirTemp("", "saigen-labs-") // testing's own folders are closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, dir: dir, binary: build(t, dir)}
	h.env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(dir, "state"))
	return h
}

// build makes the command.
func build(t *testing.T, dir string) string {
	t.Helper()
	saigen := filepath.Join(dir, "saigen")
	build := exec.Command("go", "build", "-o", saigen, "../cmd/saigen")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return saigen
}

// run executes a command, whose output is seen as it comes: this takes minutes.
func (h *host) run(argv ...string) {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), argv[0], argv[1:]...)
	cmd.Env = h.env
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it cleans up
	began := time.Now()
	err := cmd.Run()
	h.t.Logf("%s: %.1f s", strings.Join(argv, " "), time.Since(began).Seconds())
	if err != nil {
		h.t.Errorf("%s: %v", strings.Join(argv, " "), err)
	}
}

// verdicts demands that the newest run was one on the driver, and reproduced the incident with every trigger.
func (h *host) verdicts(driver string, triggers ...string) {
	h.t.Helper()
	var state string
	for _, e := range h.env {
		if dir, ok := strings.CutPrefix(e, "XDG_STATE_HOME="); ok {
			state = dir
		}
	}
	files, err := filepath.Glob(filepath.Join(state, "saigen", "runs", "*", runner.SummaryFile))
	if err != nil || len(files) == 0 {
		h.t.Fatalf("there is no summary: %v", err)
	}
	data, err := os.ReadFile(slices.Max(files))
	if err != nil {
		h.t.Fatal(err)
	}
	var s runner.Summary
	if err := json.Unmarshal(data, &s); err != nil {
		h.t.Fatal(err)
	}
	if s.Driver != driver || len(s.Leaks) > 0 || len(s.Variants) != len(triggers) {
		h.t.Fatalf("driver %s, leaks %v, %d variants: %s", s.Driver, s.Leaks, len(s.Variants), data)
	}
	for i, v := range s.Variants {
		want := fmt.Sprintf("debian:bookworm trigger:%s", triggers[i])
		if v.Variant.String() != want || v.Expect != lab.Reproduced || v.AsExpected.K != 1 {
			h.t.Errorf("%s: %d of %d got %s, %d inconclusive: %s; want %s", v.Variant, v.AsExpected.K, v.AsExpected.N, v.Expect, v.Inconclusive, v.Because, want)
		}
	}
}

func TestRealStaleDNSOnQEMU(t *testing.T) {
	needVMs(t, "qemu-system-x86_64")
	h := newHost(t)
	h.run(h.binary, "run", "stale-dns", "debian:bookworm", "!trigger:session_killed_alone", "--driver", "qemu")
	h.verdicts("qemu", "port_taken", "session_killed")
}

func TestRealStaleDNSOnVagrant(t *testing.T) {
	needVMs(t, "vagrant", "virsh", "/usr/sbin/libvirtd", "ssh")
	h := newHost(t)
	variant := []string{"stale-dns", "debian:bookworm", "trigger:port_taken"}
	// Beside the test's own libvirtd there is no network: what comes from Debian's archive is brought before.
	h.run(append([]string{h.binary, "box", "--output", filepath.Join(h.dir, "server.box")}, variant...)...)
	h.run(append([]string{"../vagrant/testdata/libvirt-here", h.binary, "run", "--driver", "vagrant"}, variant...)...)
	h.verdicts("vagrant", "port_taken")
}

// A user of whom only the mount namespace of the test knows, who is in no group but the own one.
const (
	userName = "saigen-test"
	userID   = 543210
)

// become is run in a mount namespace of its own, with the user's lines in $1, and ends as the user.
const become = `
for name in passwd group subuid subgid; do
	touch "/etc/$name"
	cat "/etc/$name" "$1/$name" >"$1/all-$name"
	chmod 644 "$1/all-$name"
	mount --bind "$1/all-$name" "/etc/$name"
done
shift
exec setpriv --reuid ` + userName + ` --regid ` + userName + ` --clear-groups --reset-env "$@"
`

func TestRealStaleDNSAsNormalUser(t *testing.T) {
	needVMs(t, "qemu-system-x86_64", "unshare", "setpriv", "newuidmap")
	h := newHost(t)
	home := filepath.Join(h.dir, "home")
	lines := map[string]string{
		"passwd": fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", userName, userID, userID, home),
		"group":  fmt.Sprintf("%s:x:%d:\n", userName, userID),
		"subuid": userName + ":6000000:65536\n", "subgid": userName + ":6000000:65536\n",
	}
	for name, text := range lines {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h.give(home)
	path := os.Getenv("PATH")
	h.env = append(h.env, "XDG_STATE_HOME="+filepath.Join(home, ".local", "state"))
	h.run("unshare", "--mount", "--propagation", "private", "--", "sh", "-eu", "-c", become, "sh", h.dir,
		"env", "PATH="+path, "HOME="+home, "LANG=C.UTF-8", "sh", "-eu", "-c", `cd "$HOME" && exec "$@"`, "sh",
		h.binary, "run", "stale-dns", "debian:bookworm", "!trigger:session_killed_alone", "--driver", "qemu")
	h.verdicts("qemu", "port_taken", "session_killed")
	if left, err := filepath.Glob(fmt.Sprintf("/tmp/saigen-%d*", userID)); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// give makes the user's home, with the lab, and the images that root has built: a user's own are made the same, which
// image's tests show, and take minutes. The disks, and all that runs, are the user's own work.
func (h *host) give(home string) {
	h.t.Helper()
	if err := os.Mkdir(home, 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(home, "stale-dns"), os.DirFS("stale-dns")); err != nil {
		h.t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, kind := range []string{"images", "kernels"} {
		from, to := filepath.Join(cache, "saigen", kind), filepath.Join(home, ".cache", "saigen", kind)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			h.t.Fatal(err)
		}
		if _, err := os.Stat(from); err != nil {
			continue // nothing was built here yet
		}
		if out, err := exec.Command("cp", "--archive", "--sparse=always", from, to).CombinedOutput(); err != nil {
			h.t.Fatalf("%v\n%s", err, out)
		}
	}
	err = filepath.WalkDir(home, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, userID, userID)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	if st, err := os.Stat(home); err != nil || st.Sys().(*syscall.Stat_t).Uid != userID {
		h.t.Fatal("the home is not the user's")
	}
}
