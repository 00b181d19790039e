package guest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/prometheus/procfs"

	"github.com/saigen-lab/saigen/lab"
)

// Listeners finds who has a port of the machine's own network. A socket that no process has open is the kernel's; it has no processes.
func (p *place) Listeners(ctx context.Context, protocol string, port uint16) ([]lab.Listener, error) {
	cannot := func(err error) error {
		return fmt.Errorf("cannot look who has %s port %d: %w", protocol, port, err)
	}
	sockets, err := socketsAt(protocol, port)
	if err != nil || len(sockets) == 0 {
		if err != nil {
			err = cannot(err)
		}
		return nil, err
	}
	all, err := p.Processes(ctx)
	if err != nil {
		return nil, cannot(err)
	}
	procs, err := procfs.AllProcs()
	if err != nil {
		return nil, cannot(err)
	}
	var out []lab.Listener
	for _, s := range sockets {
		l := lab.Listener{Address: s.address}
		for _, one := range procs {
			targets, err := one.FileDescriptorTargets()
			if err != nil || !slices.Contains(targets, "socket:["+strconv.FormatUint(s.inode, 10)+"]") {
				continue
			}
			if i := slices.IndexFunc(all, func(q lab.Process) bool { return q.PID == one.PID }); i >= 0 {
				l.Processes = append(l.Processes, all[i])
			}
		}
		l.Container = containerOf(l.Processes, all)
		out = append(out, l)
	}
	return out, nil
}

const (
	initPID    = 1
	initFolder = "/proc/1"
)

type socket struct {
	address netip.AddrPort
	inode   uint64
}

// socketsAt lists the sockets that wait for others at a port: listening ones of TCP, unconnected ones of UDP.
func socketsAt(protocol string, port uint16) ([]socket, error) {
	// Init's network is the machine's. The agent's own may not be: /proc/self is its first thread, which a look may have left in
	// the network of a container (see within).
	fs, err := procfs.NewFS(initFolder)
	if err != nil {
		return nil, err
	}
	const listening, unconnected = 0x0A, 0x07
	//nolint:staticcheck // deprecated because it is slow with very many sockets, which a lab's machine does not have
	tables, state := []func() (procfs.NetTCP, error){fs.NetTCP, fs.NetTCP6}, uint64(listening)
	if protocol == "udp" {
		state = unconnected
		tables = nil
		for _, udp := range []func() (procfs.NetUDP, error){fs.NetUDP, fs.NetUDP6} {
			tables = append(tables, func() (procfs.NetTCP, error) { lines, err := udp(); return procfs.NetTCP(lines), err })
		}
	}
	var out []socket
	for i, table := range tables {
		lines, err := table()
		if os.IsNotExist(err) && i == 1 { // a kernel without IPv6
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, l := range lines {
			if ip, ok := netip.AddrFromSlice(l.LocalAddr); ok && l.LocalPort == uint64(port) && l.St == state {
				out = append(out, socket{netip.AddrPortFrom(ip, port), l.Inode})
			}
		}
	}
	return out, nil
}

// containerOf says whose port it is that the holders have. A rootless container's forwarder (rootlessport) has a child in the container's network
// namespace; itself it is there or not, as Go's scheduler would have it when it started the child. What holds a rootful one's is its conmon; with the
// machine's own network it is a process of the container.
func containerOf(holders, all []lab.Process) *lab.ServedContainer {
	process := map[int]lab.Process{}
	for _, q := range all {
		process[q.PID] = q
	}
	networks := map[string]bool{}
	above := map[int]bool{} // the holders and their ancestors
	for _, h := range holders {
		networks[networkOf(h.PID)] = true
		for _, q := range all {
			if q.PPID == h.PID {
				networks[networkOf(q.PID)] = true
			}
		}
		for q, ok := h, true; ok; q, ok = process[q.PPID] {
			above[q.PID] = true
		}
	}
	delete(networks, networkOf(initPID))
	delete(networks, "") // of a process that has gone
	for _, c := range runningContainers(all) {
		if networks[networkOf(c.pid)] || above[c.conmon] {
			return &lab.ServedContainer{ID: c.id, Name: c.name, Account: c.account, Orphan: !known(c)}
		}
	}
	return nil
}

// aContainer is a container as the kernel shows it: a conmon and its child.
type aContainer struct {
	id, name, account string
	conmon, pid       int
}

// runningContainers finds every container that runs, whether podman knows of it or not.
func runningContainers(all []lab.Process) []aContainer {
	var out []aContainer
	for _, q := range all {
		if q.Name != "conmon" {
			continue
		}
		c := aContainer{account: q.Account, conmon: q.PID}
		for i, arg := range q.Cmdline[:max(0, len(q.Cmdline)-1)] {
			switch {
			case arg == "-c" && c.id == "":
				c.id = q.Cmdline[i+1]
			case arg == "-n" && c.name == "":
				c.name = q.Cmdline[i+1]
			}
		}
		for _, child := range all {
			if child.PPID == q.PID && c.pid == 0 {
				c.pid = child.PID
			}
		}
		if c.id != "" && c.pid != 0 {
			out = append(out, c)
		}
	}
	return out
}

// networkOf names a process's network namespace; empty when the process has gone.
func networkOf(pid int) string {
	ns, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/net")
	return ns
}

// known says whether podman can know that the container runs: it has it on disk, and the OCI runtime, which podman asks, has its state with
// this process. The state is in the account's runtime folder: when that was removed, podman says of the container that it was
// created and nothing more, while it runs on.
func known(c aContainer) bool {
	folders, err := foldersOf(c.account)
	if err != nil {
		return false
	}
	has := false
	for _, driver := range storageDrivers {
		entries, err := readStored(filepath.Join(folders.graph, driver+"-containers", "containers.json"))
		has = has || err == nil && slices.ContainsFunc(entries, func(e stored) bool { return e.ID == c.id })
	}
	return has && slices.Contains(statePIDs(runtimeFolders(c.account), c.id), c.pid)
}

// runtimeFolders are where the OCI runtimes keep the state of an account's containers.
func runtimeFolders(account string) []string {
	u, err := lookupAccount(account)
	if account == "root" || err != nil {
		return []string{"/run"}
	}
	uid := strconv.Itoa(u.uid)
	return []string{"/run/user/" + uid, "/tmp/podman-run-" + uid}
}

// statePIDs reads the state of a container: crun writes <folder>/crun/<id>/status, runc <folder>/runc/<id>/state.json.
func statePIDs(folders []string, id string) []int {
	var out []int
	for _, folder := range folders {
		for _, file := range []string{"crun/" + id + "/status", "runc/" + id + "/state.json"} {
			data, err := os.ReadFile(filepath.Join(folder, file))
			if err != nil {
				continue
			}
			var state struct {
				PID  int `json:"pid"`
				Init int `json:"init_process_pid"`
			}
			if json.Unmarshal(data, &state) == nil {
				out = append(out, max(state.PID, state.Init))
			}
		}
	}
	return out
}
