package labtest

import (
	"os/exec"
	"testing"
)

// Idle starts a process that waits until the test ends, and returns once it can be found by its command line and its name: program is
// a shell's file, argv0 the first word of the command line, words are its last ones. That a command was started is not enough, since
// os/exec hears of the new program when the kernel closes the descriptors of the old one (begin_new_exec in fs/exec.c), before it
// has given the process its new name and its arguments.
func Idle(t testing.TB, program, argv0 string, words ...string) *exec.Cmd {
	t.Helper()
	cmd := &exec.Cmd{Path: program, Args: append([]string{argv0, "-c", "echo up; read forever"}, words...)}
	_, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if errIn != nil || errOut != nil {
		t.Fatal(errIn, errOut)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatalf("%s did not start: %v", program, err)
	}
	return cmd
}
