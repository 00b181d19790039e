package qemu

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A file that somebody appends to is emptied when it is large, and grows from its beginning then.
func TestConsoleIsEmptied(t *testing.T) {
	name := filepath.Join(t.TempDir(), consoleLog)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, want := range []int64{600, 1200, 0 + 600} {
		emptyAbove(name, 1000)
		if _, err := f.Write(make([]byte, 600)); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(name); err != nil || st.Size() != want {
			t.Errorf("%d bytes, %v, want %d", st.Size(), err, want)
		}
	}
}

// The limit is the process's that runs already.
func TestLimitFiles(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	p := &process{cmd: cmd}
	if err := p.limitFiles(16<<30, 1<<30); err != nil {
		t.Fatal(err)
	}
	var got unix.Rlimit
	if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &got); err != nil || got.Cur != 17<<30 || got.Max != 17<<30 {
		t.Errorf("%+v, %v", got, err)
	}
}
