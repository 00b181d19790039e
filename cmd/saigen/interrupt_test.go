package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/saigen-lab/saigen/runner"
)

// hungup TEXT COMMAND… starts a command, and has its terminal go away when a run's events hold TEXT: its shell and the kernel each send a
// SIGHUP. It must heal and destroy all the same, and end with 130.
func hungup(ts *testscript.TestScript, _ bool, args []string) {
	code := signalled(ts, args[1:], step{args[0], syscall.SIGHUP}, step{args[0], syscall.SIGHUP})
	demand(ts, runner.ExitInterrupted, args[1:], code)
}

// unread TEXT COMMAND… starts a command, and closes the pipe that it prints to when a run's events hold TEXT. It must end with 130.
func unread(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, w, err := os.Pipe()
	ts.Check(err)
	cmd := command(ts, ctx, args[1:])
	cmd.Stdout, cmd.Stderr = w, w
	ts.Check(cmd.Start())
	_ = w.Close()
	read := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, r); close(read) }()
	told := await(ctx, func() bool {
		files, _ := filepath.Glob(filepath.Join(ts.Getenv("RUNS"), "*", runner.EventsFile))
		return slices.ContainsFunc(files, func(f string) bool {
			data, _ := os.ReadFile(f)
			return strings.Contains(string(data), args[0])
		})
	})
	_ = r.Close()
	<-read
	_ = cmd.Wait()
	if !told {
		ts.Fatalf("%s never told %s", args[1:], args[0])
	}
	demand(ts, runner.ExitInterrupted, args[1:], cmd.ProcessState.ExitCode())
}
