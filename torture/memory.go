package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/runner"
)

// memory has memory run short: in a machine, for saigen itself, and for QEMU.
func memory(ctx context.Context, h *host) (figures, error) {
	path, err := h.lab(deathLab)
	if err != nil {
		return nil, err
	}
	baseline := moment{"the baseline", []string{`"type":"phase_started"`, `"arm":"fault"`, `"phase":"baseline"`}, runner.Fault}
	var all []disaster
	for _, m := range append(moments(), baseline) {
		switch m.name {
		case "the baseline", "the fault", "the soak":
			// The largest process goes first: the one that eats.
			eaten := disaster{name: "something eats the machine's memory", driver: "qemu", moment: m, judge: poor("killed tail for lack of memory")}
			eaten.strike = inIt("systemd-run --quiet --collect --unit=eater tail /dev/zero")
			all = append(all, eaten)
		}
		switch m.name {
		case "the boot", "the baseline", "the fault", "the soak":
			all = append(all, disaster{
				name: "saigen gets no more memory", driver: "container", moment: m, leaves: true, next: true, judge: crashed,
				strike: func(_ context.Context, _ *host, p *process) (func() error, error) {
					return nil, starve(p.cmd.Process.Pid)
				},
			})
		}
	}
	if dir, err := memoryGroup(); err != nil {
		h.say("not with QEMU in a limited cgroup: %v", err)
	} else {
		defer func() { _ = os.Remove(dir) }() // nobody is in it any more
		for _, mib := range []int{200, 300} {
			d := disaster{name: "QEMU's cgroup has too little memory", driver: "qemu", moment: moment{name: strconv.Itoa(mib) + " MiB"}, args: []string{"run", "--fresh"}, judge: poor("QEMU")}
			d.prepare = func(_ context.Context, h *host) (*host, func() error, error) {
				one := *h
				one.prefix = []string{"sh", "-c", `echo $$ >"$1"/cgroup.procs && shift && exec "$@"`, "sh", dir}
				err := os.WriteFile(filepath.Join(dir, "memory.limit_in_bytes"), []byte(strconv.Itoa(mib<<20)), 0)
				return &one, func() error { return nil }, err
			}
			all = append(all, d)
		}
	}
	return h.disasters(ctx, path, inOrder(all))
}

// starve lets a process have no more address space than it has.
func starve(pid int) error {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return err
	}
	stat, err := p.Stat()
	if err != nil {
		return err
	}
	limit := unix.Rlimit{Cur: uint64(stat.VSize), Max: uint64(stat.VSize)}
	return unix.Prlimit(pid, unix.RLIMIT_AS, &limit, nil)
}

// crashed allows that saigen ends in the middle, or that what it has is enough: no verdict may come of half of a run.
func crashed(h *host, got said, _ time.Time) (string, string) {
	if got.exit == runner.ExitExpected {
		if err := h.right(got.run); err != nil {
			return "a wrong verdict", err.Error()
		}
		return "what it had was enough", ""
	}
	for _, o := range h.outcomes(got.run) {
		if !o.AsExpected() && o.Verdict != "inconclusive" {
			return "a wrong verdict", fmt.Sprintf("%s: %s", o.Verdict, o.Because)
		}
	}
	if got.exit == runner.ExitUnexpected {
		return "a wrong exit code", got.line()
	}
	return fmt.Sprintf("exit code %d", got.exit), ""
}

// memoryGroup makes a cgroup whose memory can be limited, of version 1.
func memoryGroup() (string, error) {
	mounts, err := procfs.GetMounts()
	if err != nil {
		return "", err
	}
	for _, m := range mounts {
		if _, ok := m.SuperOptions["memory"]; m.FSType == "cgroup" && ok {
			return os.MkdirTemp(m.MountPoint, "torture-")
		}
	}
	return "", errors.New("this host has no memory controller of cgroup v1")
}

// inOrder sorts by name: what was listed by a map has no order.
func inOrder(all []disaster) []disaster {
	slices.SortStableFunc(all, func(a, b disaster) int { return strings.Compare(a.name, b.name) })
	return all
}
