package guest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The shared store of service images is made by root, and what is root's in it must be root's in a container of every
// account. A rootless container's root is the account, so each account gets a view of the store in which the
// kernel shifts the owners: an idmapped mount (Linux 5.12; as a layer of overlayfs 5.19), which copies nothing.
const (
	sharedImages   = "/var/lib/saigen/images"
	accountImages  = "/run/saigen/images"
	idmapReadyLine = "ready"
)

// mountImages makes the account's view of the shared store; nothing happens when there is no store or the view is there.
func mountImages(u accountIDs) error {
	target := accountImages + "/" + u.name
	if _, err := os.Stat(sharedImages); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if isMount(target) {
		return nil
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	uids, err := mapping("/etc/subuid", u.name, u.uid)
	if err != nil {
		return err
	}
	gids, err := mapping("/etc/subgid", u.name, u.gid)
	if err != nil {
		return err
	}
	if err := idmappedMount(sharedImages, target, uids, gids); err != nil {
		return fmt.Errorf("cannot show %s to account %s: %w", sharedImages, u.name, err)
	}
	return nil
}

// mapping is the map that podman gives the account's containers: 0 is the account, the rest are its subordinate ids.
func mapping(file, account string, id int) ([]syscall.SysProcIDMap, error) {
	m := []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
	ranges, err := subordinates(file)
	if err != nil {
		return nil, err
	}
	next := 1
	for _, r := range ranges {
		if r.account == account {
			m = append(m, syscall.SysProcIDMap{ContainerID: next, HostID: r.first, Size: r.count})
			next += r.count
		}
	}
	return m, nil
}

type idRange struct {
	account      string
	first, count int
}

// subordinates reads /etc/subuid or /etc/subgid; a missing file is empty.
func subordinates(file string) ([]idRange, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []idRange
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 3 {
			continue
		}
		first, err1 := strconv.Atoi(f[1])
		count, err2 := strconv.Atoi(f[2])
		if err1 == nil && err2 == nil {
			out = append(out, idRange{f[0], first, count})
		}
	}
	return out, nil
}

// idmappedMount binds source to target, read-only and with shifted owners.
func idmappedMount(source, target string, uids, gids []syscall.SysProcIDMap) error {
	// A user namespace lives as long as a process is in it; this one waits until its stdin is closed.
	helper := exec.Command("/proc/self/exe", "guest", "userns")
	helper.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: uids, GidMappings: gids, GidMappingsEnableSetgroups: true,
	}
	in, err := helper.StdinPipe()
	if err != nil {
		return err
	}
	if err := helper.Start(); err != nil {
		return fmt.Errorf("cannot make a user namespace: %w", err)
	}
	defer func() { _ = in.Close(); _ = helper.Wait() }()

	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/user", helper.Process.Pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open the user namespace: %w", err)
	}
	defer unix.Close(ns)
	tree, err := unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return fmt.Errorf("open_tree: %w", err)
	}
	defer unix.Close(tree)
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_RDONLY, Userns_fd: uint64(ns)}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return fmt.Errorf("mount_setattr: %w (the file system of the store must support idmapped mounts: ext4, xfs, btrfs, and tmpfs from Linux 6.3)", err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("move_mount: %w", err)
	}
	return nil
}

// isMount says whether something is mounted on exactly this path.
func isMount(path string) bool {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 4 && fields[4] == path {
			return true
		}
	}
	return false
}
