package image

import (
	"context"
	"encoding/json"
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

// made is what TestRealDisks compares: what root made, and what a normal user made of the same images.
type made struct {
	Kernel                   Kernel
	Machine, Agent, Services Disk
	Box                      string
}

// TestRealDisks makes disks as root and as a normal user, and looks into them: they hold the same.
func TestRealDisks(t *testing.T) {
	if out := os.Getenv("SAIGEN_IMAGE_AS_USER"); out != "" {
		c := New(os.Getenv("SAIGEN_IMAGE_CACHE"), slog.New(slog.NewTextHandler(t.Output(), nil)))
		for _, r := range slices.Concat(Requirements(), DiskRequirements(), BoxRequirements()) {
			if err := r.Check(t.Context()); err != nil && r.Name != "go" { // the user has no toolchain
				t.Errorf("%s: %v", r.Name, err)
			}
		}
		if err := writeJSON(out, makeDisks(t, c)); err != nil {
			t.Fatal(err)
		}
		removeKilled(t, c)
		return
	}
	c := realCache(t)
	before := mounts(t)
	root := makeDisks(t, c)

	dir := userFolder(t)
	for _, b := range diskImages(t, c) { // the same images: Debian may have changed meanwhile
		copyImage(t, filepath.Dir(b.Tar), filepath.Join(dir, "cache", KindImage, b.Hash))
	}
	var user made
	asUser(t, dir, "^TestRealDisks$", "SAIGEN_IMAGE_AS_USER="+filepath.Join(dir, "made.json"), "SAIGEN_IMAGE_CACHE="+filepath.Join(dir, "cache"))
	if err := readJSON(filepath.Join(dir, "made.json"), &user); err != nil {
		t.Fatal(err)
	}

	if root.Kernel.Hash != user.Kernel.Hash || root.Kernel.Version != user.Kernel.Version {
		t.Errorf("root's kernel is %s %s, the user's %s %s", root.Kernel.Version, root.Kernel.Hash, user.Kernel.Version, user.Kernel.Hash)
	}
	for _, d := range []struct {
		name       string
		root, user Disk
	}{
		{rootLabel, root.Machine, user.Machine}, {agentLabel, root.Agent, user.Agent}, {imagesLabel, root.Services, user.Services},
	} {
		got, want := tree(t, d.user.Path, d.name), tree(t, d.root.Path, d.name)
		// podman stamps what it makes: ids, and the times in its lists. A user's podman makes no devices, and in a container
		// /dev is the runtime's.
		ignore := func(line string) bool {
			return d.name == imagesLabel && (!strings.Contains(line, "/diff/") || strings.Contains(line, "/diff/dev/"))
		}
		if left := differ(want, got, ignore); left != "" {
			t.Errorf("%s: what root (-) and a user (+) made differs:\n%s", d.name, left)
		}
		t.Logf("%s: %d files, %d MB of %d", d.name, strings.Count(got, "\n"), blocks(t, d.root.Path)>>20, d.root.Size>>20)
		fsck(t, d.root.Path)
		fsck(t, d.user.Path)
	}
	machine := tree(t, user.Machine.Path, rootLabel)
	for _, want := range []string{
		"usr/bin/ping -rwxr-xr-x 0:0 1 security.capability=", // a capability
		"usr/bin/newuidmap urwxr-xr-x 0:0",                   // set-user-id
		"etc/shadow -rw-r----- 0:42 ",                        // a group
		"lib/modules/" + user.Kernel.Version + "/saigen/modprobe -rwxr-xr-x 0:0 ",
		"etc/systemd/system/modprobe@.service L",
	} {
		if !strings.Contains(machine, want) {
			t.Errorf("the machine's disk has no %q", want)
		}
	}
	if !strings.Contains(tree(t, user.Agent.Path, agentLabel), "\nsaigen -rwxr-xr-x 0:0 ") {
		t.Error("the agent's disk has no agent")
	}
	checkBox(t, root.Box)
	checkBox(t, user.Box)
	if after := mounts(t); after != before {
		t.Errorf("mounts before:\n%s\nafter:\n%s", before, after)
	}
	if left := ownedBySubids(t, dir); left != "" {
		t.Errorf("files of subordinate ids are left: %s", left)
	}
}

// removeKilled leaves what a killed build of a user leaves on a host with little memory, and has the next one remove it.
func removeKilled(t *testing.T, c *Cache) {
	t.Helper()
	left := filepath.Join(c.dir, KindDisk, "aa.tmp-1")
	write(t, filepath.Join(left, "file"), "")
	script := `mkdir -p "$1"/etc/ssl && touch "$1"/etc/ssl/key && chown -R 0:107 "$1"/etc && chown 42:42 "$1"/etc/ssl && chmod 700 "$1"/etc/ssl`
	if _, err := (command{argv: []string{"sh", "-euc", script, "sh", left}, dir: "/", env: plainEnv(), mapped: true, log: t.Output()}).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(left); err == nil {
		t.Error("the user can remove files of his subordinate ids, so this proves nothing")
	}
	if _, err := c.Prune(t.Context(), 1<<40); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what a killed build left is still there: %v", err)
	}
}

// diskImages are a machine with file capabilities and set-user-id programs, and services of two kinds.
func diskImages(t *testing.T, c *Cache) []Built {
	t.Helper()
	labDir := t.TempDir()
	write(t, filepath.Join(labDir, "app", "main.go"), "package main\n\nfunc main() { println(\"here\") }\n")
	var all []Built
	for _, i := range []struct {
		img  lab.Image
		role Role
	}{
		{lab.Image{Name: "host", Debian: "bookworm", Packages: []string{"iputils-ping", "uidmap"}}, Machine},
		{lab.Image{Name: "nginx", Debian: "bookworm", Packages: []string{"nginx-light", "ssl-cert"}}, Service},
		{lab.Image{Name: "app", Go: "app"}, Service},
	} {
		b, err := c.Build(t.Context(), i.img, i.role, labDir, saying(t))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

func makeDisks(t *testing.T, c *Cache) (m made) {
	t.Helper()
	ctx, say := t.Context(), saying(t)
	built := diskImages(t, c)
	var err error
	if m.Kernel, err = c.Kernel(ctx, "bookworm", "", say); err != nil {
		t.Fatal(err)
	}
	if m.Machine, err = c.MachineDisk(ctx, built[0], m.Kernel, say); err != nil {
		t.Fatal(err)
	}
	if m.Agent, err = c.AgentDisk(ctx, os.Args[0], say); err != nil {
		t.Fatal(err)
	}
	if m.Services, err = c.ServiceDisk(ctx, built[1:], say); err != nil {
		t.Fatal(err)
	}
	if m.Box, err = c.Box(ctx, built[0], m.Kernel, "libvirt", say); err != nil {
		t.Fatal(err)
	}
	again, err := c.MachineDisk(ctx, built[0], m.Kernel, say)
	if err != nil || again != m.Machine {
		t.Errorf("asked again for the machine's disk: %+v, %v", again, err)
	}
	return m
}

// A normal user who is known only in a mount namespace of the test's.
const (
	userID     = 4242
	userScript = `
private=$(mktemp -d) && mount -t tmpfs -o mode=755 none "$private"
for name in passwd group subuid subgid; do
	cp /etc/$name "$private" 2>/dev/null || touch "$private"/$name
done
echo "$1:x:4242:4242::$2:/bin/sh" >>"$private"/passwd
echo "$1:x:4242:" >>"$private"/group
for name in subuid subgid; do
	echo "$1:1700000000:65536" >>"$private"/$name
done
for name in passwd group subuid subgid; do
	mount --bind "$private"/$name /etc/$name
done
umount --lazy "$private"
rmdir "$private"
cd "$2"
shift 2
exec setpriv --reuid 4242 --regid 4242 --clear-groups --inh-caps=-all -- "$@"`
)

// userFolder is a folder that the user owns and whose parents he can pass, with his home and this test's program.
func userFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "saigen-image-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cache", "cache/images"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "test"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func copyImage(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "--archive", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// asUser runs a test of this program as the user, whose folder becomes his.
func asUser(t *testing.T, dir, test string, env ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, userID, userID)
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "--",
		"sh", "-euc", userScript, "sh", "saigen-test", dir, filepath.Join(dir, "test"), "-test.v", "-test.run="+test)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "SAIGEN_REAL=1"}, env...)
	out, err := cmd.CombinedOutput()
	t.Logf("as a user:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

func checkBox(t *testing.T, box string) {
	t.Helper()
	f, err := os.Open(box)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	parts := boxParts(t, f)
	for _, name := range []string{"metadata.json", "Vagrantfile", "box.img", "vmlinuz", "initrd"} {
		if len(parts[name]) == 0 {
			t.Errorf("%s has no %s", box, name)
		}
	}
	var metadata struct{ Saigen boxFile }
	if err := json.Unmarshal(parts["metadata.json"], &metadata); err != nil {
		t.Fatal(err)
	}
	if got := names(metadata.Saigen.Added); !slices.Contains(got, "openssh-server") || !slices.Contains(got, "sudo") || slices.Contains(got, "systemd") {
		t.Errorf("the box adds %v", got)
	}
	raw := filepath.Join(t.TempDir(), "raw")
	if err := os.WriteFile(raw+".qcow2", parts["box.img"], 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "convert", "-O", "raw", raw+".qcow2", raw).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	fsck(t, raw)
	in := tree(t, raw, "box")
	for _, want := range []string{
		"home/vagrant/.ssh drwx------ 900:900 ", "home/vagrant/.ssh/authorized_keys -rw------- 900:900 ", "etc/sudoers.d/vagrant -r--r----- 0:0 ",
		"usr/bin/sudo urwxr-xr-x 0:0 ", "usr/bin/ping -rwxr-xr-x 0:0 1 security.capability=", "usr/sbin/sshd -rwxr-xr-x 0:0 ",
	} {
		if !strings.Contains(in, "\n"+want) {
			t.Errorf("the box has no %q", want)
		}
	}
	for _, bad := range []string{"usr/sbin/policy-rc.d ", "dev/null ", "var/lib/apt/lists/deb", "var/lib/saigen/authorized_keys"} {
		if strings.Contains(in, "\n"+bad) {
			t.Errorf("the box still has %q", bad)
		}
	}
}

// ownedBySubids finds files that the user himself could not remove.
func ownedBySubids(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("find", dir, "/tmp", "/dev/shm", "-xdev", "-uid", "+1699999999", "-uid", "-1700065536").Output()
	if err != nil {
		t.Logf("find: %v", err) // /tmp changes under it
	}
	return string(out)
}
