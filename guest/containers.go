package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
)

// What podman keeps on disk, read in podman 4.3.1 and 5.4.2:
//
//	<graphroot>/{overlay,vfs}-containers/containers.json   every container: id, names, when it was made
//	<runroot>/{overlay,vfs}-containers/<id>/userdata/pidfile   the pid of its first process while it runs, and for a
//	                                                           while after; a file left by a crash has an old pid
//
// graphroot and runroot are podman's defaults: rootless ~/.local/share/containers/storage and, with a session,
// $XDG_RUNTIME_DIR/containers, without one /tmp/podman-run-UID/containers, /tmp/containers-user-UID/containers
// (4.3.1) or /tmp/storage-run-UID/containers (5.4.2).
var storageDrivers = []string{"overlay", "vfs"}

type podmanFolders struct {
	graph string
	runs  []string
}

func foldersOf(account string) (podmanFolders, error) {
	if account == "" || account == "root" {
		return podmanFolders{"/var/lib/containers/storage", []string{"/run/containers/storage"}}, nil
	}
	u, err := lookupAccount(account)
	if err != nil {
		return podmanFolders{}, err
	}
	uid := strconv.Itoa(u.uid)
	return podmanFolders{
		graph: filepath.Join(u.home, ".local/share/containers/storage"),
		runs: []string{
			"/run/user/" + uid + "/containers",
			"/tmp/podman-run-" + uid + "/containers",
			"/tmp/containers-user-" + uid + "/containers",
			"/tmp/storage-run-" + uid + "/containers",
		},
	}, nil
}

// stored is one entry of containers.json.
type stored struct {
	ID      string    `json:"id"`
	Names   []string  `json:"names"`
	Created time.Time `json:"created"`
}

// Containers lists an account's containers, oldest first as podman stores them.
func (p *place) Containers(_ context.Context, account string) ([]lab.Container, error) {
	cannot := func(err error) error {
		return fmt.Errorf("cannot list the containers of account %s: %w", account, err)
	}
	folders, err := foldersOf(account)
	if err != nil {
		return nil, cannot(err)
	}
	var out []lab.Container
	for _, driver := range storageDrivers {
		entries, err := readStored(filepath.Join(folders.graph, driver+"-containers", "containers.json"))
		if err != nil {
			return nil, cannot(err)
		}
		for _, e := range entries {
			c := lab.Container{ID: e.ID, Created: e.Created}
			if len(e.Names) > 0 {
				c.Name = e.Names[0]
			}
			for _, run := range folders.runs {
				if pid := runningPID(filepath.Join(run, driver+"-containers", e.ID, "userdata/pidfile"), e.ID); pid != 0 {
					c.PID = pid
				}
			}
			if c.PID != 0 {
				c.Addresses, err = addresses(c)
				if err != nil && !isGone(c.PID, c.ID) {
					return nil, cannot(err)
				}
				if err != nil {
					c.PID = 0 // it ended while we looked
				}
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// readStored reads containers.json; none is there before the first container. podman replaces the file as a whole.
func readStored(path string) ([]stored, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || (err == nil && len(data) == 0) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []stored
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return out, nil
}

// runningPID reads a pid file and believes it only when that process is the container's: 0 otherwise.
func runningPID(pidfile, id string) int {
	data, err := os.ReadFile(pidfile)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || isGone(pid, id) {
		return 0
	}
	return pid
}

// isGone says that a process has ended or is not the container's first one: that one is in a cgroup with the
// container's id in its name, or, where podman makes no cgroup, a child of the conmon that was started for it.
func isGone(pid int, id string) bool {
	stat, ok := readStat(pid)
	if !ok || stat.state == 'Z' || stat.state == 'X' {
		return true
	}
	if strings.Contains(cgroupOf(pid), id) {
		return false
	}
	parent, err := os.ReadFile("/proc/" + strconv.Itoa(stat.ppid) + "/cmdline")
	return err != nil || !strings.Contains(string(parent), id)
}

// addresses lists the addresses in a container's network namespace, loopback and link-local apart.
func addresses(c lab.Container) ([]netip.Addr, error) {
	var out []netip.Addr
	err := within(c, func() error {
		all, err := net.InterfaceAddrs() // one netlink socket, made on this thread
		for _, a := range all {
			if prefix, perr := netip.ParsePrefix(a.String()); perr == nil {
				if ip := prefix.Addr().Unmap(); !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
					out = append(out, ip)
				}
			}
		}
		return err
	})
	return out, err
}

// Within calls f on a thread that is in the container's network namespace. Only what f does on that thread is there:
// a socket that another goroutine opens (a resolver's, a happy-eyeballs dial) is not. Sockets stay in the namespace they
// were opened in, so what f opens may be used anywhere.
func (p *place) Within(c lab.Container, f func() error) error { return within(c, f) }

func within(c lab.Container, f func() error) error {
	if c.PID == 0 {
		return fmt.Errorf("cannot enter the network of container %s: it does not run", c.Name)
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		var err error
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic in the network of container %s: %v", c.Name, r)
			}
			done <- err
		}()
		home, herr := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if herr != nil {
			err = fmt.Errorf("cannot enter the network of container %s: %w", c.Name, herr)
			runtime.UnlockOSThread()
			return
		}
		// Only a thread that is back is unlocked and lives on: where a machine has no process to spare there is no other.
		// One that is not back ends with the goroutine, instead of carrying the namespace into other work.
		defer func() {
			defer unix.Close(home)
			if unix.Setns(home, unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread()
			}
		}()
		if err = enterNetwork(c); err == nil {
			err = f()
		}
	}()
	return <-done
}

func enterNetwork(c lab.Container) error {
	ns, err := unix.Open("/proc/"+strconv.Itoa(c.PID)+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot enter the network of container %s: %w", c.Name, err)
	}
	defer unix.Close(ns)
	if isGone(c.PID, c.ID) { // the namespace is open now, so a reused pid cannot slip in after this look
		return fmt.Errorf("cannot enter the network of container %s: it has ended", c.Name)
	}
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("cannot enter the network of container %s: %w", c.Name, err)
	}
	return nil
}
