package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/ledger"
)

// program is QEMU for the architecture that the driver knows.
const program = "qemu-system-x86_64"

// process is a QEMU that this saigen has started. It has a runtime folder of its own, which is its working directory, so
// that its sockets have short names, and whose path is on its command line.
type process struct {
	cmd   *exec.Cmd
	mon   *monitor
	ended chan struct{} // closed when it has ended and was reaped
}

// The files of every QEMU, in its runtime folder.
const (
	pidFile  = "pid"  // QEMU writes it
	lockFile = "lock" // locked by the process, from before it is QEMU until it has ended
)

// firstFD is the number of the first of the files that a QEMU inherits besides those of every process: the monitor's
// socket, the lock, and then the caller's.
const (
	monitorFD = 3
	firstFD   = 5
)

// startProcess starts QEMU, which must not be there yet in folder, and greets its monitor. What it prints is added to
// log. On error nothing is left running.
func startProcess(ctx context.Context, l *ledger.Ledger, folder, log string, args []string, files ...*os.File) (_ *process, err error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := l.Record(ledger.Entry{Kind: KindProcess, Path: folder}); err != nil {
		return nil, err
	}
	lock, err := lockFolder(folder)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot make QEMU's log: %w", err)
	}
	defer out.Close()
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()

	p := &process{cmd: exec.Command(program, append(processArguments(folder), args...)...), ended: make(chan struct{})}
	p.cmd.Dir = folder
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + folder, "LC_ALL=C"}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.ExtraFiles = append([]*os.File{theirs, lock}, files...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // ^C at the terminal is saigen's alone
	if err := p.cmd.Start(); err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("cannot start QEMU: %w", err)
	}
	go func() {
		_ = p.cmd.Wait() // killed in the end, mostly; what it said is in its log
		close(p.ended)
	}()
	if p.mon, err = newMonitor(ctx, ours); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// processArguments are what every QEMU of saigen gets. By the path after -pidfile it is found again.
func processArguments(folder string) []string {
	return []string{
		"-nodefaults", "-no-user-config", "-display", "none",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-pidfile", filepath.Join(folder, pidFile),
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", monitorFD), "-mon", "chardev=monitor,mode=control",
	}
}

// kill ends the process at once and waits until it is reaped.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
	if p.mon != nil {
		p.mon.close()
	}
}

// gone says whether the process has ended.
func (p *process) gone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// quit has QEMU end by itself, which closes its disks.
func (p *process) quit(ctx context.Context) error {
	err := p.mon.do(ctx, "quit", nil, nil)
	if err != nil && !errors.Is(err, errGone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("QEMU does not end: %w", context.Cause(ctx))
	}
}

// lockFolder makes and takes the lock of a QEMU's folder.
func lockFolder(folder string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(folder, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot make QEMU's lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock %s: a QEMU runs there: %w", folder, err), f.Close())
	}
	return f, nil
}

// socketPair returns the two ends of a connection: ours, and one to be inherited.
func socketPair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make QEMU's monitor: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "monitor"), os.NewFile(uintptr(fds[1]), "monitor")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("cannot make QEMU's monitor: %w", err), theirs.Close())
	}
	return conn.(*net.UnixConn), theirs, nil
}
