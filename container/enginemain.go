package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// EngineMain is the engine's first process: PID 1 of its own pid namespace, started by startEngine in new namespaces
// and in the run's cgroup. It prepares what podman sees, runs podman's service on the socket that it inherited, reaps,
// and ends with it. args is the path of the engineConfig. It returns the exit code.
func EngineMain(args []string) int {
	if len(args) != 1 || os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "saigen engine is started by saigen itself, in namespaces of its own")
		return 2
	}
	// Namespaces belong to threads: everything, the start of podman too, happens on this one.
	runtime.LockOSThread()
	code, err := engineMain(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "engine:", err)
		return 1
	}
	return code
}

// listenFD is the inherited socket, numbered as socket activation wants it.
const listenFD = 3

func engineMain(configPath string) (int, error) {
	data, err := os.ReadFile(configPath)
	if err != nil {
		return 0, fmt.Errorf("cannot read its configuration: %w", err)
	}
	var c engineConfig
	if err := json.Unmarshal(data, &c); err != nil {
		return 0, fmt.Errorf("cannot read its configuration: %w", err)
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"make its mounts private", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }},
		{"mount /proc", func() error { return unix.Mount("proc", "/proc", "proc", 0, "") }},
		{"set up cgroup v2", cgroups},
		{"set up /run", func() error { return privateRun(c.Runtime) }},
		{"set up /dev", privateDev},
		{"bring up the loopback link", loopback},
		{"write its configuration", func() error { return writeConfig(c) }},
	} {
		if err := step.do(); err != nil {
			return 0, fmt.Errorf("cannot %s: %w", step.what, err)
		}
	}
	return serve(c)
}

// cgroups makes the run's cgroup the root of a pure cgroup v2 for everything below, whatever the host mounts, moves
// this process out of the root, and hands the root's controllers down.
func cgroups() error {
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return err
	}
	const at = "/sys/fs/cgroup"
	for {
		err := unix.Unmount(at, unix.MNT_DETACH)
		if errors.Is(err, unix.EINVAL) {
			break // nothing is mounted there any more
		}
		if err != nil {
			return err
		}
	}
	if err := unix.Mount("cgroup2", at, "cgroup2", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	// A cgroup that hands controllers down may hold no processes itself.
	if err := os.Mkdir(at+"/engine", 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(at+"/engine/cgroup.procs", []byte("0"), 0); err != nil {
		return err
	}
	have, err := os.ReadFile(at + "/cgroup.controllers")
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(have)) {
		if err := os.WriteFile(at+"/cgroup.subtree_control", []byte("+"+controller), 0); err != nil {
			return fmt.Errorf("hand down controller %s: %w", controller, err)
		}
	}
	return nil
}

// privateRun hides the host's /run, where podman, runc and netavark keep state under names of their own, and keeps the
// run's runtime folder visible.
func privateRun(keep string) error {
	tree, err := unix.OpenTree(unix.AT_FDCWD, keep, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return err
	}
	if err := os.MkdirAll(keep, 0o755); err != nil {
		return err
	}
	return unix.MoveMount(tree, "", unix.AT_FDCWD, keep, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// devices are all that a machine gets: no disk, no terminal and no other device of the host. tun and fuse are open to
// the machine's users, as rootless podman needs them.
var devices = []struct {
	name         string
	major, minor uint32
}{
	{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
	{"fuse", 10, 229}, {"net/tun", 10, 200},
}

func privateDev() error {
	if err := unix.Mount("tmpfs", "/dev", "tmpfs", unix.MS_NOSUID, "mode=755,size=64k"); err != nil {
		return err
	}
	for _, dir := range []string{"/dev/net", "/dev/pts", "/dev/shm"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	for _, d := range devices {
		name := filepath.Join("/dev", d.name)
		if err := unix.Mknod(name, unix.S_IFCHR|0o666, int(unix.Mkdev(d.major, d.minor))); err != nil {
			return fmt.Errorf("make %s: %w", name, err)
		}
		if err := os.Chmod(name, 0o666); err != nil { // whatever the umask
			return err
		}
	}
	if err := unix.Mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
		return err
	}
	if err := unix.Mount("shm", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
		return err
	}
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, filepath.Join("/dev", name)); err != nil {
			return err
		}
	}
	return nil
}

func loopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

func writeConfig(c engineConfig) error {
	for _, dir := range c.folders() {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(c.containersConf(), []byte(renderContainersConf(c)), 0o600); err != nil {
		return err
	}
	return os.WriteFile(c.storageConf(), []byte(renderStorageConf(c)), 0o600)
}

// serve runs podman's service and reaps until it ends.
func serve(c engineConfig) (int, error) {
	null, err := os.Open("/dev/null")
	if err != nil {
		return 0, err
	}
	// Socket activation wants podman's own number, which only the process itself knows before it is podman.
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", `LISTEN_PID=$$ exec podman system service --time 0`}, &syscall.ProcAttr{
		Dir: "/",
		Env: []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"HOME=/root",
			"TMPDIR=" + c.tmp(),
			"LISTEN_FDS=1",
			"CONTAINERS_CONF=" + c.containersConf(),
			"CONTAINERS_STORAGE_CONF=" + c.storageConf(),
		},
		Files: []uintptr{null.Fd(), 1, 2, listenFD},
	})
	if err != nil {
		return 0, fmt.Errorf("cannot start podman: %w", err)
	}
	if err := unix.Close(listenFD); err != nil { // so that the socket dies with podman
		return 0, err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		os.Exit(0) // the kernel kills the rest of the namespace
	}()
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("cannot wait for podman: %w", err)
		}
		if got == pid {
			return 0, fmt.Errorf("podman's service ended: exit code %d, signal %d", status.ExitStatus(), status.Signal())
		}
	}
}
