package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/driver"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// bootTime is how long a machine may take to come up: without KVM, on a host with other work, half a minute is usual.
// monitorTime is how long a QEMU may take to start, and restoreTime to be restored, on a host that is very busy.
const (
	bootTime    = 5 * time.Minute
	monitorTime = time.Minute
	restoreTime = time.Minute
)

// What a machine gets that says nothing about it.
const (
	defaultMemory = 1 << 30
	defaultCPUs   = 2
	memoryUnit    = 1 << 20 // memory is a multiple of it
)

// The files of a machine, in its folder on the disk; the console's log is to be found in its runtime folder too.
const (
	rootDisk   = "root.qcow2"
	consoleLog = "console.log"
	qemuLog    = "qemu.log"
)

// vmachine is a running VM.
type vmachine struct {
	ref     lab.MachineRef
	dir     string   // its disk and logs
	sock    string   // its runtime folder
	ram     *os.File // its memory, where that is shared with this process; nil for a copy
	process *process
	guest   *guest.Client
	off     time.Duration // its clock minus the host's, when it is saved or goes on from where it was saved
	clock   time.Time     // what its clock showed when it was stopped to be saved

	mu        sync.Mutex
	destroyed bool
}

// Start boots the machine, waits until everything in it is ready, and makes its accounts.
func (d *Driver) Start(ctx context.Context, id lab.RunID, l *lab.Lab, m lab.Machine) (_ lab.Running, err error) {
	ref, began := lab.MachineRef("machine."+m.Name), time.Now()
	r, all, err := d.runFor(id, l)
	if err != nil {
		return nil, infra(ctx, "cannot start "+string(ref), err)
	}
	v := newMachine(r, m.Name)
	defer func() {
		if err != nil {
			err = errors.Join(infra(ctx, "cannot start "+string(ref), err), v.Destroy(ctx))
		}
	}()
	spec, err := d.spec(ctx, r, l, m, all[m.Name])
	if err != nil {
		return nil, err
	}
	if v.ram, err = newMemory(spec.memory); err != nil {
		return nil, err
	}
	spec.ram, spec.shared = fmt.Sprintf("/proc/self/fd/%d", firstFD), true
	if err := d.boot(ctx, r, v, spec, all[m.Name].disk.Size, v.ram); err != nil {
		return nil, err
	}
	d.o.Log.Debug("QEMU started", "machine", ref, "accelerator", spec.accel, "took", time.Since(began))
	if err := driver.Await(ctx, d.bootTime, ref, v.readiness(l, m), v.lastWords, d.o.Log); err != nil {
		return nil, err
	}
	return v, nil
}

func newMachine(r *run, name string) *vmachine {
	return &vmachine{
		ref:  lab.MachineRef("machine." + name),
		dir:  filepath.Join(r.Dir, name),
		sock: filepath.Join(r.Sock, name),
	}
}

// spec is what does not depend on whether the machine boots or is restored.
func (d *Driver) spec(ctx context.Context, r *run, l *lab.Lab, m lab.Machine, p parts) (vm, error) {
	spec := vm{
		name: "saigen " + string(r.ID) + " " + m.Name, accel: d.accel(), cpus: cpusOf(m), memory: memoryOf(m),
		kernel: p.kernel, host: m.Name, number: numberOf(l, m.Name),
		base: p.disk.Path, agent: p.agent.Path, services: p.services.Path,
	}
	n, err := d.networkFor(ctx, r, l)
	if err == nil && n != nil {
		spec.network = "../" + filepath.Base(n.folder)
	}
	return spec, err
}

// Processors implements lab.Hypervisor.
func (d *Driver) Processors(m lab.Machine) int { return cpusOf(m) }

func cpusOf(m lab.Machine) int {
	if m.CPUs > 0 {
		return m.CPUs
	}
	return defaultCPUs
}

func memoryOf(m lab.Machine) int64 {
	if n := m.Memory.Bytes(); n > 0 {
		return (n + memoryUnit - 1) / memoryUnit * memoryUnit
	}
	return defaultMemory
}

// boot makes the machine's files and starts its QEMU, which inherits files.
func (d *Driver) boot(ctx context.Context, r *run, v *vmachine, spec vm, size int64, files ...*os.File) error {
	for _, dir := range []string{v.dir, v.sock} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("cannot make the machine's folders: %w", err)
		}
	}
	spec.root = filepath.Join(v.dir, rootDisk)
	if err := newOverlay(spec.root, size); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(v.dir, consoleLog), filepath.Join(v.sock, consoleLog)); err != nil {
		return fmt.Errorf("cannot make the machine's console: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, monitorTime)
	defer cancel()
	p, err := startProcess(limited, r.Ledger, v.sock, filepath.Join(v.dir, qemuLog), spec.arguments(), files...)
	if err != nil {
		return &lab.InfraError{
			What: "cannot start " + string(v.ref), Hint: "saigen doctor says what the host lacks", Tail: v.said(), Err: err,
		}
	}
	v.process = p
	if err := p.limitFiles(size, spec.memory); err != nil {
		return fmt.Errorf("cannot limit what QEMU writes: %w", err) // who called destroys it
	}
	go p.watchConsole(filepath.Join(v.dir, consoleLog))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.processes = append(slices.DeleteFunc(r.processes, (*process).gone), p)
	return nil
}

// newMemory makes a file that is in memory only, and goes with the last process that has it.
func newMemory(size int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("saigen-machine", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make the machine's memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "memory")
	if err := f.Truncate(size); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make the machine's memory: %w", err), f.Close())
	}
	return f, nil
}

// infra says that it is not the lab's fault, unless the error says so already or ctx has ended.
func infra(ctx context.Context, what string, err error) error {
	var already *lab.InfraError
	if err == nil || errors.As(err, &already) || ctx.Err() != nil {
		return err
	}
	return &lab.InfraError{What: what, Hint: "saigen doctor says what the host lacks", Err: err}
}

// Ref is the machine's address in the lab.
func (v *vmachine) Ref() lab.MachineRef { return v.ref }

// Run executes a command through the agent.
func (v *vmachine) Run(ctx context.Context, cmd lab.Command) (lab.Result, error) {
	res, err := v.guest.Run(ctx, cmd)
	return res, v.explainLoss(err)
}

// Put writes a file through the agent.
func (v *vmachine) Put(ctx context.Context, f lab.File) error {
	return v.explainLoss(v.guest.Put(ctx, f))
}

// Watch has the agent observe a probe.
func (v *vmachine) Watch(ctx context.Context, p lab.Probe, each func(lab.Observation)) error {
	return v.explainLoss(v.guest.Watch(ctx, p, each))
}

// Clock asks the agent for the machine's clock.
func (v *vmachine) Clock(ctx context.Context) (time.Duration, error) {
	d, err := v.guest.Clock(ctx)
	return d, v.explainLoss(err)
}

// Waited implements lab.Waiter: what the kernel counts of QEMU's threads that are processors; see "sched_info" in its
// Documentation/scheduler/sched-stats.rst. QEMU names them "CPU 0/TCG" or "CPU 0/KVM".
func (v *vmachine) Waited() ([]time.Duration, error) {
	threads, err := procfs.AllThreads(v.process.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	var all []time.Duration
	for _, t := range threads {
		name, err := t.Comm()
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(name, "CPU ") {
			continue
		}
		stat, err := t.Schedstat()
		if err != nil {
			return nil, err
		}
		all = append(all, time.Duration(stat.WaitingNanoseconds))
	}
	return all, nil
}

// Console returns the last lines that the kernel and systemd wrote to the console.
func (v *vmachine) Console(context.Context) (string, error) {
	return console(v.ref, filepath.Join(v.dir, consoleLog))
}

func console(ref lab.MachineRef, log string) (string, error) {
	if _, err := os.Stat(log); err != nil {
		return "", fmt.Errorf("cannot read the console of %s: %w", ref, err)
	}
	return tailOf(log), nil
}

// said is what explains why the machine did not come up: the console, and what QEMU itself printed.
func (v *vmachine) said() string {
	return strings.TrimSpace(tailOf(filepath.Join(v.dir, consoleLog)) + "\n" + tailOf(filepath.Join(v.dir, qemuLog)))
}

// lastWords is said, for driver.Await.
func (v *vmachine) lastWords(context.Context) (string, error) { return v.said(), nil }

// escape is what systemd colours its console with.
var escape = regexp.MustCompile("\x1b\\[[0-9;?]*[a-zA-Z]")

// tailOf returns the last lines of a log; nothing when there is no such file.
func tailOf(name string) string {
	const most = 4000
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, end-most), io.SeekStart)
	}
	data, _ := io.ReadAll(io.LimitReader(f, most)) // it may grow meanwhile
	return strings.ReplaceAll(escape.ReplaceAllString(string(data), ""), "\r", "")
}

// Destroy kills the machine and removes its disk and sockets. It ignores the cancellation of ctx.
func (v *vmachine) Destroy(context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.destroyed {
		return nil
	}
	if v.guest != nil {
		_ = v.guest.Close() // the machine goes away under it
	}
	if v.process != nil {
		v.process.kill()
	}
	if v.ram != nil {
		_ = v.ram.Close()
	}
	if err := errors.Join(os.RemoveAll(v.sock), os.RemoveAll(v.dir)); err != nil {
		return &lab.InfraError{What: "cannot destroy " + string(v.ref), Hint: "saigen gc removes what is left", Err: err}
	}
	v.destroyed = true
	return nil
}
