package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// shell is a POSIX shell that commands are typed into: what is done by hand is done here, in an engine or in a VM.
type shell struct {
	in  io.Writer
	out *bufio.Reader
	end func() error // of the process behind it; once
}

// The shell says done when a command has ended. It is typed in two parts, since a terminal shows what is typed.
const done = "@@bench@@"

// do types a command, waits until it has ended, and returns what it printed. When ctx ends it closes the shell.
func (s *shell) do(ctx context.Context, command string) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = s.end() })
	defer stop()
	if _, err := fmt.Fprintf(s.in, "%s\necho \"\n%s\"\"%s $?\"\n", command, done[:5], done[5:]); err != nil {
		return "", errors.Join(context.Cause(ctx), err)
	}
	return s.until(ctx, command)
}

// until reads up to the line that says done.
func (s *shell) until(ctx context.Context, what string) (string, error) {
	var said strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("cannot go on by hand with %q: %w:\n%s", what, errors.Join(context.Cause(ctx), err), said.String())
		}
		line = strings.TrimRight(line, "\r\n")
		code, ok := strings.CutPrefix(line, done+" ")
		switch {
		case !ok:
			said.WriteString(line + "\n")
		case code != "0":
			return "", fmt.Errorf("by hand %q ended with code %s:\n%s", what, code, said.String())
		default:
			return strings.TrimSpace(said.String()), nil
		}
	}
}

// handTime is how long a process may take to end when its input has ended, and again when it was asked to.
const handTime = 20 * time.Second

// spawn starts a process that ends when its input does: with us at the latest. end has it end and waits; twice is fine.
func spawn(cmd *exec.Cmd) (in io.Writer, end func() error, err error) {
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ^C is for us: we end it
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	return pipe, sync.OnceValue(func() error {
		_ = pipe.Close()
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			select {
			case <-ended:
				return nil
			case <-time.After(handTime):
				_ = syscall.Kill(-cmd.Process.Pid, signal)
			}
		}
		<-ended
		return fmt.Errorf("%s did not end when it was asked to", cmd.Args[0])
	}), nil
}

// newShell starts a program that becomes a shell.
func newShell(argv ...string) (*shell, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = writer, writer
	in, end, err := spawn(cmd)
	_ = writer.Close()
	if err != nil {
		_ = reader.Close()
		return nil, fmt.Errorf("cannot start %s: %w", argv[0], err)
	}
	return &shell{in: in, out: bufio.NewReader(reader), end: func() error { return errors.Join(end(), reader.Close()) }}, nil
}
