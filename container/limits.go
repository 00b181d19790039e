package container

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// limits is what the host lets an engine and its machines have. On a normal host nothing is restricted, and nothing is
// written into any configuration.
type limits struct {
	// Files and Processes are the hard limits that cannot be raised, because CAP_SYS_RESOURCE is missing; 0: they can.
	Files     uint64 `json:"files,omitempty"`
	Processes uint64 `json:"processes,omitempty"`
	// Controllers are those that cgroup v2 gives.
	Controllers []string `json:"controllers"`
}

// has says whether a cgroup controller is there.
func (l limits) has(controller string) bool { return slices.Contains(l.Controllers, controller) }

// readLimits asks the kernel about this process. The controllers are those of the engine's cgroup.
func readLimits(controllers []string) (limits, error) {
	l := limits{Controllers: controllers}
	raise, err := mayRaiseLimits()
	if err != nil || raise {
		return l, err
	}
	var files, processes unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return l, fmt.Errorf("cannot read the limit of open files: %w", err)
	}
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &processes); err != nil {
		return l, fmt.Errorf("cannot read the limit of processes: %w", err)
	}
	l.Files, l.Processes = files.Max, processes.Max
	data, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return l, fmt.Errorf("cannot read pid_max: %w", err)
	}
	most, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return l, fmt.Errorf("cannot read pid_max: %w", err)
	}
	l.Processes = min(l.Processes, most)
	return l, nil
}

// mayRaiseLimits says whether this process has CAP_SYS_RESOURCE.
func mayRaiseLimits() (bool, error) {
	var data [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		return false, fmt.Errorf("cannot read capabilities: %w", err)
	}
	return data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0, nil
}
