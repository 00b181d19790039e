package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

const needed = "driver container"

// Requirements says what the driver needs of the host. engine is Options.Engine, scratch a folder like those that
// Options.Scratch returns; the nearest folder above it that exists is looked at.
func Requirements(engine, scratch string) []lab.Requirement {
	if engine != "" {
		return []lab.Requirement{{
			Name: "container engine at " + engine, Needed: needed,
			Fix:   "unset SAIGEN_ENGINE DOCKER_HOST # to use saigen's own",
			Check: func(ctx context.Context) error { return checkEngine(ctx, engine) },
		}}
	}
	return []lab.Requirement{
		{
			Name: "root", Needed: needed,
			Fix:   "sudo saigen …   # or, as a normal user: saigen --driver qemu …",
			Check: checkRoot,
		},
		program("podman", "apt-get install --no-install-recommends podman"),
		program("runc", "apt-get install runc"),
		program("conmon", "apt-get install conmon"),
		helper("netavark", "apt-get install netavark"),
		program("iptables", "apt-get install iptables"),
		{
			Name: "cgroup v2", Needed: needed,
			Fix:   "apt-get install linux-image-amd64 && reboot   # Linux 5.2 or later, started without cgroup_no_v1 tricks",
			Check: func(context.Context) error { return checkCgroup() },
		},
		{
			Name: "namespaces", Needed: needed,
			Fix:   "run saigen on the host itself or in a VM, not in a container without privileges",
			Check: func(context.Context) error { return checkNamespaces() },
		},
		{
			Name: "overlay file systems", Needed: needed,
			Fix:   "modprobe overlay   # and keep XDG_STATE_HOME on ext4, xfs or btrfs",
			Check: func(context.Context) error { return checkOverlay(scratch) },
		},
		{
			Name: "2 GiB of disk", Needed: needed,
			Fix:   "df -h " + scratch + "   # make room, or point XDG_STATE_HOME elsewhere",
			Check: func(context.Context) error { return checkDisk(scratch) },
		},
	}
}

// Conditions says what else the driver needs of the host to give a machine what not every driver gives.
func Conditions() map[lab.Need][]lab.Requirement {
	return map[lab.Need][]lab.Requirement{
		lab.OwnPIDMax: {{
			Name: "Linux 6.14", Needed: string(lab.OwnPIDMax) + " of driver container",
			Fix: "saigen --driver qemu …   # its machines have a kernel of their own",
			Check: func(context.Context) error {
				var u unix.Utsname
				if err := unix.Uname(&u); err != nil {
					return fmt.Errorf("cannot ask for the kernel's release: %w", err)
				}
				return pidMaxPerNamespace(unix.ByteSliceToString(u.Release[:]))
			},
		}},
	}
}

// pidMaxPerNamespace fails for a kernel whose pid_max is one for all pid namespaces: before commit 7863dcc72d0f, Linux 6.14.
func pidMaxPerNamespace(release string) error {
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n != 2 || major < 6 || major == 6 && minor < 14 {
		return fmt.Errorf("this is Linux %s, where kernel.pid_max is one for the host and all its containers", release)
	}
	return nil
}

func program(name, fix string) lab.Requirement {
	return lab.Requirement{Name: name, Needed: needed, Fix: fix, Check: func(context.Context) error {
		for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
			if _, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return nil
			}
		}
		return fmt.Errorf("there is no program %s", name)
	}}
}

// helper is a program of podman's that is in no PATH.
func helper(name, fix string) lab.Requirement {
	return lab.Requirement{Name: name, Needed: needed, Fix: fix, Check: func(context.Context) error {
		for _, dir := range []string{"/usr/local/libexec/podman", "/usr/local/lib/podman", "/usr/libexec/podman", "/usr/lib/podman"} {
			if _, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return nil
			}
		}
		return fmt.Errorf("podman's helper %s is not there", name)
	}}
}

func checkEngine(ctx context.Context, engine string) error {
	api, err := client.New(client.WithHost(engine))
	if err != nil {
		return fmt.Errorf("cannot use it: %w", err)
	}
	defer api.Close()
	if _, err := api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return fmt.Errorf("it does not answer: %w", err)
	}
	return nil
}

// capabilities are those that the engine uses itself; machines are privileged and have whatever saigen has.
var capabilities = map[int]string{
	unix.CAP_SYS_ADMIN: "CAP_SYS_ADMIN", unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_MKNOD: "CAP_MKNOD",
	unix.CAP_SETUID: "CAP_SETUID", unix.CAP_SETGID: "CAP_SETGID", unix.CAP_CHOWN: "CAP_CHOWN",
	unix.CAP_DAC_OVERRIDE: "CAP_DAC_OVERRIDE", unix.CAP_SYS_CHROOT: "CAP_SYS_CHROOT",
}

func checkRoot(context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("system containers are made by root")
	}
	var data [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		return fmt.Errorf("cannot read capabilities: %w", err)
	}
	for bit, name := range capabilities {
		if data[bit/32].Effective&(1<<(bit%32)) == 0 {
			return fmt.Errorf("root has no %s here", name)
		}
	}
	return nil
}

func checkCgroup() error {
	h, err := ledger.OpenHierarchy()
	if err != nil {
		return err
	}
	return h.Close()
}

func checkNamespaces() error {
	for _, kind := range []string{"cgroup", "ipc", "mnt", "net", "pid", "uts", "user"} {
		if _, err := os.Stat("/proc/self/ns/" + kind); err != nil {
			return fmt.Errorf("the kernel has no %s namespaces", kind)
		}
	}
	return nil
}

// overlayMagic is the f_type of overlayfs, which cannot carry another overlay's upper layer.
const overlayMagic = 0x794c7630

func checkOverlay(scratch string) error {
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return fmt.Errorf("cannot list file systems: %w", err)
	}
	if !strings.Contains(string(known), "\toverlay\n") {
		return errors.New("the kernel has no overlay file system")
	}
	fs, dir, err := statNearest(scratch)
	if err != nil {
		return err
	}
	if fs.Type == overlayMagic {
		return fmt.Errorf("%s is on an overlay file system itself", dir)
	}
	return nil
}

func checkDisk(scratch string) error {
	fs, dir, err := statNearest(scratch)
	if err != nil {
		return err
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < 2<<30 {
		return fmt.Errorf("%s has %d MiB left", dir, free>>20)
	}
	return nil
}

func statNearest(dir string) (fs unix.Statfs_t, found string, err error) {
	for {
		err := unix.Statfs(dir, &fs)
		if err == nil {
			return fs, dir, nil
		}
		if !errors.Is(err, unix.ENOENT) || dir == "/" || dir == "." {
			return fs, dir, fmt.Errorf("cannot look at %s: %w", dir, err)
		}
		dir = filepath.Dir(dir)
	}
}
