package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/qemu"
	"github.com/saigen-lab/saigen/stack"
)

// vms is what the lines about VMs share.
type vms struct {
	*work
	*places
	driver *qemu.Driver
	lab    *lab.Lab
}

func measureVM(ctx context.Context, w *work) (err error) {
	l, err := w.lab()
	if err != nil {
		return err
	}
	v := &vms{work: w, places: w.places(qemu.Undoers()...), lab: l}
	defer v.close()
	v.driver = qemu.New(qemu.Options{
		Self: w.self, Images: w.images, Runtime: v.runtime(), Scratch: v.scratch, Ledger: v.ledger, Log: w.log,
	})
	defer func() { err = errors.Join(err, v.driver.Close(ctx)) }()
	if w.wanted("boot") || w.wanted("trip-vm") || w.wanted("trip-vm-agent") {
		if err := v.boots(ctx); err != nil {
			return err
		}
	}
	if !w.wanted("restore") && !w.wanted("restore-loaded") && !w.wanted("clone-memory") && !w.wanted("clone-disk") {
		return nil
	}
	if err := v.saves(ctx); err != nil {
		return err
	}
	for _, line := range []string{"restore", "restore-loaded"} {
		if w.wanted(line) {
			if err := v.restores(ctx, line); err != nil {
				return err
			}
		}
	}
	if w.wanted("clone-memory") || w.wanted("clone-disk") {
		return v.clones(ctx)
	}
	return nil
}

// folderOf is the runtime folder of a run's only machine.
func (v *vms) folderOf(id lab.RunID) string { return filepath.Join(v.runtime(), string(id), "server") }

// boots measures cold boots, and round trips to machines that are warm.
func (v *vms) boots(ctx context.Context) error {
	l := alone(v.lab)
	if err := v.driver.Prepare(ctx, l, v.say); err != nil {
		return err
	}
	n := v.few(3)
	var args []string // of saigen's QEMU
	// The hand needs saigen's command line, so saigen begins always.
	for i := range n {
		id := lab.RunID(fmt.Sprintf("boot-%d", i))
		m, took, err := v.boot(ctx, id, l)
		if err != nil {
			return err
		}
		v.saigenTook("boot", took)
		v.say("saigen's machine %d of %d answers after %.1f s", i+1, n, took)
		if args, err = commandLine(v.folderOf(id)); err != nil {
			return err
		}
		v.figures.Machine.KVM = kvmOf(args)
		err = errors.Join(
			timed(10, func() error { return command(ctx, m, "/bin/true") }, func(float64) {}),
			timed(200/n, func() error { return command(ctx, m, "/bin/true") }, func(s float64) { v.saigenTook("trip-vm", s) }),
			timed(200/n, func() error { _, err := m.Clock(ctx); return err }, func(s float64) { v.saigenTook("trip-vm-agent", s) }),
			v.driver.Release(ctx, id))
		if err != nil {
			return err
		}
		if err := v.bootByHand(ctx, i, n, args); err != nil {
			return err
		}
	}
	return nil
}

// boot starts a machine and returns how long it took until the agent had answered the first command of a second client.
func (v *vms) boot(ctx context.Context, id lab.RunID, l *lab.Lab) (m lab.Running, took float64, err error) {
	all, within := errgroup.WithContext(ctx)
	began := time.Now()
	all.Go(func() error {
		c, err := guest.DialPort(within, v.folderOf(id))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Run(within, lab.Command{Argv: []string{"/bin/true"}})
		took = time.Since(began).Seconds()
		return err
	})
	all.Go(func() (err error) {
		m, err = v.driver.Start(within, id, l, l.Machines[0])
		return err
	})
	return m, took, all.Wait()
}

func (v *vms) bootByHand(ctx context.Context, i, n int, args []string) (err error) {
	began := time.Now()
	h, err := v.byHand(ctx, filepath.Join(v.dir, fmt.Sprint("b", i)), args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.end()) }()
	if _, err := h.until(ctx, "boot"); err != nil {
		return err
	}
	if _, err := h.do(ctx, "/bin/true"); err != nil {
		return err
	}
	v.handTook("boot", time.Since(began).Seconds())
	v.say("machine %d of %d by hand answers after %.1f s", i+1, n, time.Since(began).Seconds())
	// Without KVM most of a boot's second half is still to come; its own work must not be in the round trips.
	if _, err := h.do(ctx, "systemctl is-system-running --wait || :"); err != nil {
		return err
	}
	try := func(command, line string, n int) error {
		return timed(n, func() error { _, err := h.do(ctx, command); return err }, func(s float64) { v.handTook(line, s) })
	}
	return errors.Join(try("/bin/true", "trip-vm", 60/n), try(":", "trip-vm-agent", 60/n))
}

// snapshot is the key under which the machine is saved: nobody else has it.
const snapshot = "bench"

// saves brings up the lab's machine with both stacks, and a shell on its serial console for the hand, and saves it.
func (v *vms) saves(ctx context.Context) error {
	const id = "save"
	if err := v.driver.Prepare(ctx, v.lab, v.say); err != nil {
		return err
	}
	m, err := v.driver.Start(ctx, id, v.lab, v.lab.Machines[0])
	if err != nil {
		return err
	}
	compose, err := stack.New(assertions.Kinds())
	if err != nil {
		return err
	}
	up, upping := errgroup.WithContext(ctx)
	for _, s := range v.lab.Stacks {
		up.Go(func() error { return compose.Up(upping, m, v.lab.Dir, s) })
	}
	if err := up.Wait(); err != nil {
		return err
	}
	v.say("the machine to be saved has its stacks")
	if err := command(ctx, m, "systemd-run", "--quiet", "--unit=by-hand", "--property=DefaultDependencies=no", "/bin/sh", "-c", handShell); err != nil {
		return err
	}
	if err := v.driver.Save(ctx, id, v.lab, snapshot, []lab.Running{m}); err != nil {
		return err
	}
	v.say("saved")
	return nil
}

// restored restores the machine and returns how long it took until it had answered a command. What is loaded ahead takes no
// part of that.
func (v *vms) restored(ctx context.Context, id lab.RunID, ahead bool) (lab.Running, float64, error) {
	if ahead {
		if err := v.driver.Load(ctx, id, v.lab, snapshot); err != nil {
			return nil, 0, err
		}
	}
	began := time.Now()
	all, err := v.driver.Restore(ctx, id, v.lab, snapshot)
	if err != nil {
		return nil, 0, err
	}
	err = command(ctx, all[0], "/bin/true")
	return all[0], time.Since(began).Seconds(), err
}

// restores measures the line restore, or restore-loaded.
func (v *vms) restores(ctx context.Context, line string) error {
	args, err := v.savedCommandLine(ctx)
	if err != nil {
		return err
	}
	n, ahead, hand := v.few(30), line == "restore-loaded", "r"
	if ahead {
		hand = "l"
	}
	err = turns(ctx, n, func(i int) error {
		m, took, err := v.restored(ctx, lab.RunID(fmt.Sprintf("%s-%d", line, i)), ahead)
		if err != nil {
			return err
		}
		v.saigenTook(line, took)
		return m.Destroy(ctx)
	}, func(i int) error {
		h, took, err := v.restoredByHand(ctx, fmt.Sprint(hand, i), args, ahead)
		if err != nil {
			return err
		}
		v.handTook(line, took)
		return h.end()
	})
	if err == nil {
		v.say("%s: %d times", line, n)
	}
	return err
}

// savedCommandLine is that of a machine that saigen has restored.
func (v *vms) savedCommandLine(ctx context.Context) ([]string, error) {
	const id = "look"
	m, _, err := v.restored(ctx, id, false)
	if err != nil {
		return nil, err
	}
	args, err := commandLine(v.folderOf(id))
	v.figures.Machine.KVM = kvmOf(args)
	return args, errors.Join(err, m.Destroy(ctx))
}

func (v *vms) restoredByHand(ctx context.Context, name string, args []string, ahead bool) (_ *handVM, took float64, err error) {
	began := time.Now()
	h, err := v.byHand(ctx, filepath.Join(v.dir, name), args)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.end())
		}
	}()
	if err := h.load(ctx); err != nil {
		return nil, 0, err
	}
	if ahead {
		if err := h.warm(ctx); err != nil {
			return nil, 0, err
		}
		began = time.Now()
	}
	if err := h.goOn(ctx); err != nil {
		return nil, 0, err
	}
	_, err = h.do(ctx, "/bin/true")
	return h, time.Since(began).Seconds(), err
}

// clones has ten clones at once, and one more by hand.
func (v *vms) clones(ctx context.Context) (err error) {
	args, err := v.savedCommandLine(ctx)
	if err != nil {
		return err
	}
	const n = 10
	ids := make([]lab.RunID, n)
	machines := make([]lab.Running, n)
	defer func() {
		for _, m := range machines {
			if m != nil {
				err = errors.Join(err, m.Destroy(ctx))
			}
		}
	}()
	for i := range n { // one after the other: with two cores, ten that begin at once keep each other from setting their clocks
		ids[i] = lab.RunID(fmt.Sprintf("clone-%d", i))
		if machines[i], _, err = v.restored(ctx, ids[i], false); err != nil {
			return err
		}
	}
	h, _, err := v.restoredByHand(ctx, "c", args, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.end()) }()
	for _, id := range ids {
		pid, err := os.ReadFile(filepath.Join(v.folderOf(id), "pid"))
		if err != nil {
			return err
		}
		memory, err := privateMemory(strings.TrimSpace(string(pid)))
		if err != nil {
			return err
		}
		disk, err := occupied(v.scratch(id))
		if err != nil {
			return err
		}
		v.saigenTook("clone-memory", memory)
		v.saigenTook("clone-disk", disk)
	}
	memory, err := privateMemory(strconv.Itoa(h.pid))
	if err != nil {
		return err
	}
	v.handTook("clone-memory", memory)
	disk, err := occupied(filepath.Join(h.dir, handDisk))
	v.handTook("clone-disk", disk)
	v.say("ten clones at once")
	return err
}

// privateMemory is what nobody shares with a process, in bytes: see proc_pid_smaps(5).
func privateMemory(pid string) (float64, error) {
	data, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
	if err != nil {
		return 0, err
	}
	var sum float64
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && (f[0] == "Private_Clean:" || f[0] == "Private_Dirty:") {
			kib, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				return 0, err
			}
			sum += kib * 1024
		}
	}
	if sum == 0 {
		return 0, fmt.Errorf("process %s has no private memory", pid)
	}
	return sum, nil
}

// occupied is what a file, or all below a folder, takes of the disk, in bytes.
func occupied(path string) (float64, error) {
	var sum float64
	err := filepath.WalkDir(path, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		err = unix.Lstat(path, &st)
		sum += float64(st.Blocks) * 512
		return err
	})
	return sum, err
}
