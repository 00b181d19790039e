package qemu

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/image"
)

// A normal user who is in no group but the own one, and is known only in a mount namespace of the test's.
const (
	userID     = 4243
	userScript = `
private=$(mktemp -d) && mount -t tmpfs -o mode=755 none "$private"
for name in passwd group subuid subgid; do
	cp /etc/$name "$private" 2>/dev/null || touch "$private"/$name
done
echo "saigen-test:x:4243:4243::$1:/bin/sh" >>"$private"/passwd
echo "saigen-test:x:4243:" >>"$private"/group
for name in subuid subgid; do
	echo "saigen-test:1700000000:65536" >>"$private"/$name
done
for name in passwd group subuid subgid; do
	mount --bind "$private"/$name /etc/$name
done
umount --lazy "$private"
rmdir "$private"
cd "$1"
shift
exec setpriv --reuid 4243 --regid 4243 --clear-groups --inh-caps=-all -- "$@"`
)

// A user gets what root gets. The image and the kernel are copies of root's: that a user can build them is shown by
// image's tests. The disks are the user's own work.
func TestRealAsNormalUser(t *testing.T) {
	real(t)
	if os.Geteuid() != 0 {
		t.Skip("it is one already")
	}
	b := open(t, "t-root", drivertest.OneMachine())
	dir, err := os.MkdirTemp("/var/tmp", "saigen-qemu-") // the test's own folders are closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	must(t, "cp", "--dereference", os.Args[0], filepath.Join(dir, "test"))
	entries, err := b.o.Images.List()
	if err != nil {
		t.Fatal(err)
	}
	name := drivertest.OneMachine().Images[0].Name
	for _, e := range entries {
		if e.Kind == image.KindKernel || e.Kind == image.KindImage && e.Name == "image."+name || e.Name == name {
			to := filepath.Join(dir, "cache", e.Kind)
			if err := os.MkdirAll(to, 0o755); err != nil {
				t.Fatal(err)
			}
			must(t, "cp", "--recursive", "--sparse=always", e.Dir, to)
		}
	}
	err = filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, userID, userID)
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "--",
		"sh", "-euc", userScript, "sh", dir, filepath.Join(dir, "test"), "-test.v", "-test.run=^TestRealMachine$|^TestRealTwoMachinesKept$")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "SAIGEN_REAL=1", "SAIGEN_IMAGE_CACHE=" + filepath.Join(dir, "cache")}
	out, err := cmd.CombinedOutput()
	t.Logf("as a user:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", argv, err, out)
	}
}
