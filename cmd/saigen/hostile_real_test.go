package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
)

// TestHostileMachine runs the lab hostile/machine, whose machine does to its host what it can: it writes without end to its console,
// its journal and its disk, takes all memory and all processes, lies about itself, and stops the agent. saigen ends in bounded time
// without believing it, what lands on the host is bounded, and nothing is left.
func TestHostileMachine(t *testing.T) {
	h := newRealHost(t)
	for _, l := range hostileLabs(t) {
		if l.name == "machine" {
			if err := os.CopyFS(filepath.Join(h.dir, "hostile"), os.DirFS(l.dir)); err != nil {
				t.Fatal(err)
			}
		}
	}
	const most = 8 * time.Minute // where the host has other work, too
	ctx, cancel := context.WithTimeout(t.Context(), buildTime)
	defer cancel()
	cmd := h.command(ctx, "run", "hostile", "--driver", "qemu")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var disk, console, resident int64
	var injected time.Time
	var err error
	for tick, running := time.NewTicker(500*time.Millisecond), true; running; {
		select {
		case err = <-ended:
			running = false
		case <-tick.C:
			all, log := onHost(h.runs())
			disk, console = max(disk, all), max(console, log)
			resident = max(resident, residentOf(cmd.Process.Pid))
			if injected.IsZero() && h.reached("inject") {
				injected = time.Now()
			}
		}
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 && exit.ExitCode() != 3 {
		t.Errorf("saigen ended with %v: the symptom was never there, so that it is not reproduced, or inconclusive\n%s", err, out.String())
	}
	if injected.IsZero() || time.Since(injected) > most {
		t.Errorf("the attack began at %s, and saigen ended %s after it", injected, time.Since(injected))
	}
	run := h.run()
	evidence, _ := onHost(filepath.Join(h.runs(), string(run)))
	t.Logf("%.1f s, %.1f s after the attack began; at most %d MiB on the host's disk, %d KiB of a console, %d MiB of saigen's own memory; %d KiB of evidence",
		time.Since(began).Seconds(), time.Since(injected).Seconds(), disk>>20, console>>10, resident>>20, evidence>>10)
	if disk > 3<<30 || console > 256<<20 || resident > 1<<30 || evidence > 256<<20 {
		t.Error("that is too much")
	}
	if strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) || strings.Contains(out.String(), "\n::") {
		t.Errorf("what the machine says reaches the terminal:\n%q", out.String())
	}
	t.Log(out.String())
	h.same(run)
}

// onHost is what the files below a folder occupy, and the largest console of a machine, in bytes.
func onHost(dir string) (all, console int64) {
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error { // files come and go
		var st syscall.Stat_t
		if err != nil || d.IsDir() || syscall.Lstat(name, &st) != nil {
			return nil //nolint:nilerr // what is gone occupies nothing
		}
		all += st.Blocks * 512
		if d.Name() == "console.log" {
			console = max(console, st.Size)
		}
		return nil
	})
	return all, console
}

// residentOf is how much memory a process has, in bytes.
func residentOf(pid int) int64 {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		return 0
	}
	var size, resident int64
	_, _ = fmt.Sscan(string(data), &size, &resident)
	return resident * int64(os.Getpagesize())
}
