package qemu

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A machine may write without end to what is a file of the host: to its disk, which has a size, and to its console, which has none. QEMU
// is given a limit for the size of its files, above which the kernel ends it; and while saigen runs, a console that
// has become large is emptied.
const (
	consoleSize  = 64 << 20 // bytes; what explains something is at the end
	consoleEvery = time.Second
	aboveDisk    = 1 << 30 // bytes that a file of QEMU's may have beside what it holds: the disk's own tables, a saved state's
)

// limitFiles bounds every file that QEMU writes to what the machine's disk, or its memory, may hold.
func (p *process) limitFiles(disk, memory int64) error {
	most := uint64(max(disk, memory) + aboveDisk)
	return unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: most, Max: most}, nil)
}

// watchConsole keeps the console from growing until QEMU has ended. QEMU appends to it, so that after it was emptied it begins again.
func (p *process) watchConsole(name string) {
	tick := time.NewTicker(consoleEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-tick.C:
			emptyAbove(name, consoleSize)
		}
	}
}

// emptyAbove empties a file that is larger.
func emptyAbove(name string, most int64) {
	if st, err := os.Stat(name); err == nil && st.Size() > most {
		_ = os.Truncate(name, 0) // a machine that was destroyed meanwhile has none
	}
}
