package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// goKept is what Go builds of all tests keep. It has files of other users.
var goKept string

// TestMain gives all tests one cache of Go's standard library, and the tests that build real images one cache, so that a
// compiler, say, is built once. SAIGEN_IMAGE_CACHE names one to keep between runs.
func TestMain(m *testing.M) { os.Exit(withCache(m.Run)) }

func withCache(run func() int) (code int) {
	dir, err := os.MkdirTemp("", "saigen-images-")
	if err == nil {
		goKept = filepath.Join(dir, KindGo)
		err = os.Mkdir(goKept, 0o755)
	}
	if err == nil && os.Getenv("SAIGEN_REAL") == "1" && os.Getenv("SAIGEN_IMAGE_CACHE") == "" {
		err = os.Setenv("SAIGEN_IMAGE_CACHE", dir)
	}
	defer func() {
		if err := removeAll(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

// realCache skips a test that needs root, a network and minutes.
func realCache(t *testing.T) *Cache {
	t.Helper()
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("it builds real images: set SAIGEN_REAL=1")
	}
	if os.Geteuid() != 0 {
		t.Skip("image stores need root")
	}
	return New(os.Getenv("SAIGEN_IMAGE_CACHE"), slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func saying(t *testing.T) Say {
	began := time.Now()
	return func(format string, args ...any) {
		t.Logf("%6.1f s  %s", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
}

func names(packages []Package) []string {
	var all []string
	for _, p := range packages {
		all = append(all, p.Name)
	}
	return all
}

func TestRealMachine(t *testing.T) {
	for _, suite := range []string{"bookworm", "trixie"} {
		t.Run(suite, func(t *testing.T) {
			c, say := realCache(t), saying(t)
			before := mounts(t)
			img := lab.Image{Name: "host", Debian: suite, Packages: []string{"podman", "podman-compose", "aardvark-dns", "slirp4netns", "uidmap", "iptables"}}
			b, err := c.Build(t.Context(), img, Machine, "", say)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("built: %.1f s, %d packages, %d MB", b.Took.Seconds(), len(b.Packages), fileSize(t, b.Tar)>>20)
			got := names(b.Packages)
			for _, want := range append(slices.Clone(img.Packages), "systemd", "libpam-systemd") {
				if !slices.Contains(got, want) {
					t.Errorf("package %s is missing", want)
				}
			}
			for _, bad := range []string{"dbus-user-session", "usrmerge", "fuse-overlayfs"} {
				if slices.Contains(got, bad) {
					t.Errorf("package %s is in the image, and nobody asked for it", bad)
				}
			}
			again, err := c.Build(t.Context(), img, Machine, "", say)
			if err != nil || !again.Cached || again.Hash != b.Hash {
				t.Errorf("the second build: %v, cached %v", err, again.Cached)
			}
			began := time.Now()
			root, ref, err := c.MachineStore(t.Context(), b, say)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("store: %.1f s", time.Since(began).Seconds())
			out := readOnlyStore(t, root, "run", "--rm", "--network=none", "--cgroups=disabled", ref, "/bin/sh", "-c",
				"readlink /etc/systemd/system/default.target; stat -c %s /etc/machine-id; stat -c %U:%a /usr/bin/newuidmap; ls /etc/dpkg/dpkg.cfg.d")
			if want := "/lib/systemd/system/multi-user.target\n0\nroot:4755\n"; out != want {
				t.Errorf("in the machine: %q, want %q", out, want)
			}
			if after := mounts(t); after != before {
				t.Errorf("mounts before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

func TestRealServices(t *testing.T) {
	c, say := realCache(t), saying(t)
	labDir := t.TempDir()
	write(t, filepath.Join(labDir, "app", "main.go"), "package main\n\nfunc main() { println(\"here\") }\n")
	nginx, err := c.Build(t.Context(), lab.Image{Name: "nginx", Debian: "bookworm", Packages: []string{"nginx-light", "ssl-cert"}}, Service, labDir, say)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("nginx: %.1f s, %d packages, %d MB", nginx.Took.Seconds(), len(nginx.Packages), fileSize(t, nginx.Tar)>>20)
	if got := names(nginx.Packages); slices.Contains(got, "systemd") || !slices.Contains(got, "nginx-light") {
		t.Errorf("packages of the service image: %v", got)
	}
	app, err := c.Build(t.Context(), lab.Image{Name: "app", Go: "app"}, Service, labDir, say)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("app: %.1f s", app.Took.Seconds())
	began := time.Now()
	root, err := c.ServiceStore(t.Context(), []Built{nginx, app}, say)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("store: %.1f s", time.Since(began).Seconds())
	out := readOnlyStore(t, root, "run", "--rm", "--network=none", "--cgroups=disabled", "localhost/app:latest")
	if out != "here\n" {
		t.Errorf("the app printed %q", out)
	}
	out = readOnlyStore(t, root, "run", "--rm", "--network=none", "--cgroups=disabled", "localhost/nginx:latest", "nginx", "-t")
	if !strings.Contains(out, "test is successful") {
		t.Errorf("nginx -t printed %q", out)
	}
}

// What podman has of its own on a host is as it was when it has filled a store, also where podman was never used.
func TestRealStoreLeavesNothing(t *testing.T) {
	realCache(t)
	c, labDir := goCache(t), t.TempDir()
	write(t, filepath.Join(labDir, "app", "main.go"), "package main\n\nfunc main() {}\n")
	app, err := c.Build(t.Context(), lab.Image{Name: "app", Go: "app"}, Service, labDir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	own := func() string {
		var all strings.Builder
		for _, top := range []string{"/run/containers", "/var/lib/containers", "/var/lib/cni", "/etc/cni"} {
			err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				info, err := d.Info()
				if err == nil {
					fmt.Fprintln(&all, path, info.Mode(), info.ModTime())
				}
				return err
			})
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		return all.String()
	}
	before := own()
	if _, err := c.ServiceStore(t.Context(), []Built{app}, quiet); err != nil {
		t.Fatal(err)
	}
	if after := own(); after != before {
		t.Errorf("podman had on the host:\n%s\nand has:\n%s", before, after)
	}
}

// readOnlyStore runs a host's podman whose own storage is new and which has root as an additional, read-only store.
// (podman ignores additional stores when --root is given.) A private cgroup2 mount makes crun work on hosts with a hybrid hierarchy.
func readOnlyStore(t *testing.T, root string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	ro := filepath.Join(dir, "ro")
	conf := filepath.Join(dir, "storage.conf")
	write(t, filepath.Join(ro, ".keep"), "")
	write(t, conf, "[storage]\ndriver = \"overlay\"\nrunroot = \"/dev/shm/run\"\ngraphroot = \""+dir+"/root\"\n[storage.options]\nadditionalimagestores = [\""+ro+"\"]\n")
	write(t, filepath.Join(dir, "containers.conf"), "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\npids_limit = 0\n")
	const script = `set -e
mount --bind "$1" "$2"; mount -o remount,bind,ro "$2"
umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
shift 2; exec podman "$@" 2>&1`
	argv := append([]string{"--mount", "--propagation", "private", "--", "sh", "-c", rootPodmanScript, "sh", dir, "sh", "-c", script, "sh", root, ro,
		"--tmpdir", "/dev/shm/tmp", "--runtime", "crun", "--cgroup-manager", "cgroupfs",
		"--events-backend", "none", "--log-level", "error"}, args...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", argv...)
	cmd.Env = append(os.Environ(), "CONTAINERS_STORAGE_CONF="+conf, "CONTAINERS_CONF="+dir+"/containers.conf")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("podman %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func mounts(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func fileSize(t *testing.T, name string) int64 {
	t.Helper()
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := writeFile(name, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// TestRealStoppedBuild kills one build with its process and cancels another: neither leaves a process, a mount, or
// anything in the cache that the next build does not remove.
func TestRealStoppedBuild(t *testing.T) {
	img := lab.Image{Name: "tiny", Debian: "bookworm"}
	if dir := os.Getenv("SAIGEN_IMAGE_KILLED"); dir != "" {
		_, err := New(dir, slog.New(slog.DiscardHandler)).Build(t.Context(), img, Service, "", quiet)
		t.Fatal("the build ended: ", err)
	}
	realCache(t)
	c := New(t.TempDir(), slog.New(slog.NewTextHandler(t.Output(), nil))) // its path is how its processes are found
	before := mounts(t)
	killed := exec.Command(os.Args[0], "-test.run=^TestRealStoppedBuild$")
	killed.Env = append(os.Environ(), "SAIGEN_IMAGE_KILLED="+c.dir, "TMPDIR="+t.TempDir()) // TestMain is killed with it
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the base system is being installed", func() bool {
		logs, err := filepath.Glob(filepath.Join(c.dir, "images", "*.tmp-*", logName))
		if err != nil || len(logs) != 1 {
			return false
		}
		data, err := os.ReadFile(logs[0])
		return err == nil && strings.Contains(string(data), "I: installing essential packages")
	})
	if len(processes(t, c.dir)) == 0 {
		t.Error("no process of the build is found, so the check below proves nothing")
	}
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	await(t, "the build's processes are gone", func() bool { return len(processes(t, c.dir)) == 0 })
	if after := mounts(t); after != before {
		t.Errorf("mounts before:\n%s\nafter:\n%s", before, after)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := c.Build(ctx, img, Service, "", func(format string, args ...any) {
		if strings.Contains(fmt.Sprintf(format, args...), "installing") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled build: %v", err)
	}
	if left := processes(t, c.dir); len(left) != 0 {
		t.Errorf("processes left: %v", left)
	}
	if left, err := filepath.Glob(filepath.Join(c.dir, "images", "*.tmp-*")); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}

	b, err := c.Build(t.Context(), img, Service, "", saying(t))
	if err != nil || b.Cached {
		t.Errorf("the build after them: %v, cached %v", err, b.Cached)
	}
}

// processes are those whose arguments name the folder, this one apart.
func processes(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range all {
		data, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(data), dir) {
			found = append(found, name+" "+strings.ReplaceAll(string(data), "\x00", " "))
		}
	}
	return found
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("it never happened that %s", what)
		}
	}
}

func TestRealUnknownPackage(t *testing.T) {
	c := realCache(t)
	_, err := c.Build(t.Context(), lab.Image{Name: "typo", Debian: "bookworm", Packages: []string{"podmann"}}, Service, "", saying(t))
	if err == nil || !strings.HasSuffix(err.Error(), "mmdebstrap: Unable to locate package podmann") {
		t.Errorf("the error is %v", err)
	}
}
