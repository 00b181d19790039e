package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
)

// which says whether a process is the one that is meant, of the machine of a run's arm.
type which func(p procfs.Proc, id lab.RunID) bool

// kill kills the process that is meant with SIGKILL, when it is there.
func kill(is which) func(ctx context.Context, h *host, id lab.RunID) (bool, error) {
	return func(ctx context.Context, _ *host, id lab.RunID) (bool, error) {
		limit, tick := time.After(appears), time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			done, err := killOne(is, id)
			if done || err != nil {
				return done, err
			}
			select {
			case <-tick.C:
			case <-limit:
				return false, nil
			case <-ctx.Done():
				return false, ctx.Err()
			}
		}
	}
}

// appears is how long a process that is to be killed may take to be there. When the boot begins, none is.
const appears = 5 * time.Second

func killOne(is which, id lab.RunID) (bool, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return false, err
	}
	for _, p := range all {
		if !is(p, id) {
			continue
		}
		fd, err := unix.PidfdOpen(p.PID, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return false, err
		}
		if is(p, id) { // still: the number may have been given away
			err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		} else {
			err = unix.ESRCH
		}
		_ = unix.Close(fd)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, unix.ESRCH) {
			return false, err
		}
	}
	return false, nil
}

// group is a process's cgroup below that of an arm's engine; false: it is in no such.
func group(p procfs.Proc, id lab.RunID) (string, bool) {
	groups, err := p.Cgroups()
	if err != nil {
		return "", false
	}
	for _, g := range groups {
		if _, rest, ok := strings.Cut(g.Path, "/saigen-"+string(id)+"/"); ok && g.HierarchyID == 0 { // before it is where this process is
			return rest, true
		}
	}
	return "", false
}

func podmanService(p procfs.Proc, id lab.RunID) bool {
	in, ok := group(p, id)
	line, err := p.CmdLine()
	return ok && err == nil && in == "engine" && len(line) > 2 && filepath.Base(line[0]) == "podman" && line[1] == "system"
}

// conmon is that of the machine, and not one in it.
func conmon(p procfs.Proc, id lab.RunID) bool {
	in, ok := group(p, id)
	name, err := p.Comm()
	return ok && err == nil && name == "conmon" && in == "engine"
}

// machineInit is the process that is number 1 of the machine: the third namespace counts, after the host's and the engine's.
func machineInit(p procfs.Proc, id lab.RunID) bool {
	in, ok := group(p, id)
	if !ok || !strings.Contains(in, "/libpod-") {
		return false
	}
	status, err := p.NewStatus()
	return err == nil && len(status.NSpids) == 3 && status.NSpids[2] == 1
}

func guestAgent(p procfs.Proc, id lab.RunID) bool {
	in, ok := group(p, id)
	return ok && strings.HasSuffix(in, "/saigen-agent.service")
}

// qemuOf is the QEMU of the machine.
func qemuOf(p procfs.Proc, id lab.RunID) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
	return err == nil && bytes.HasPrefix(line, []byte("qemu-system")) && bytes.Contains(line, []byte("/"+string(id)+"/web/pid\x00"))
}

// inMachine runs a line in the machine of a run's fault arm, as root. That the connection breaks then is what is wanted.
func inMachine(line string) func(ctx context.Context, h *host, id lab.RunID) (bool, error) {
	return func(ctx context.Context, h *host, id lab.RunID) (bool, error) {
		p, err := h.start("exec", "--run", string(id), "--", "sh", "-c", line)
		if err != nil {
			return false, err
		}
		got := p.wait(ctx, appears)
		return !strings.Contains(got.stderr, "cannot reach"), ctx.Err()
	}
}
