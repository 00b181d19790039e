package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// nobodyElse is a uid that no account has: the processes of the test's alice.
const nobodyElse = 54321

// alices starts a process of the test's alice with a soft limit of open files, and returns its pid.
func alices(t *testing.T, soft int) int {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root starts a process as somebody else")
	}
	cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf("ulimit -S -n %d && echo && exec sleep 1000", soft))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobodyElse, Gid: nobodyElse}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// softFiles is the soft limit of open files of a process.
func softFiles(t *testing.T, pid int) (soft int) {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "Max open files")
	if _, err := fmt.Sscan(rest, &soft); err != nil {
		t.Fatal(err)
	}
	return soft
}

// alice answers for the account; everything else runs on this host, with files that are put kept by the fake machine.
func aliceHere(files map[string]bool) func(context.Context, lab.Command) (lab.Result, error) {
	return func(ctx context.Context, cmd lab.Command) (lab.Result, error) {
		switch cmd.Argv[0] {
		case "id":
			return lab.Result{Stdout: fmt.Appendf(nil, "%d\n", nobodyElse)}, nil
		case "rm":
			files[cmd.Argv[2]] = true
			return lab.Result{}, nil
		}
		return here(ctx, cmd)
	}
}

func TestLimits(t *testing.T) {
	first, second := alices(t, 300), alices(t, 200)
	removed := map[string]bool{}
	env, m := world(t, aliceHere(removed))
	f := &Limits{Machine: "machine.server", Account: "alice", Resource: "nofile", Value: 77}
	wantError(t, f.Verify(t.Context(), env), "of alice has nofile 300")
	if err := f.Heal(t.Context(), env); err != nil {
		t.Errorf("healing nothing: %v", err)
	}
	for range 2 {
		if err := f.Inject(t.Context(), env); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Verify(t.Context(), env); err != nil {
		t.Error(err)
	}
	third := alices(t, 77)
	if softFiles(t, first) != 77 || softFiles(t, second) != 77 {
		t.Errorf("limits are %d and %d", softFiles(t, first), softFiles(t, second))
	}
	if err := f.Heal(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if a, b, c := softFiles(t, first), softFiles(t, second), softFiles(t, third); a != 300 || b != 200 || c != 300 {
		t.Errorf("healed to %d, %d and %d", a, b, c)
	}
	if !removed[evidencePath(f.evidence())] {
		t.Errorf("what was done is still remembered")
	}
	if said := strings.Join(env.Said(), "\n"); !strings.Contains(said, "nofile of 2 processes of alice is limited to 77") {
		t.Errorf("said %q", said)
	}
	if n := ran(m, "prlimit"); n != 2 {
		t.Errorf("%d times prlimit", n)
	}
}

func TestLimitsOfNobody(t *testing.T) {
	env, _ := world(t, aliceHere(map[string]bool{}))
	f := &Limits{Machine: "machine.server", Account: "alice", Resource: "nproc", Value: 77}
	wantError(t, f.Verify(t.Context(), env), "there is no process of alice")
	wantError(t, f.Inject(t.Context(), env), "no process has a limit above 77")
}
