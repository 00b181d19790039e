package vagrant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// tool is a program that this driver runs on the host, and is gone when run has returned.
type tool struct {
	argv  []string
	dir   string
	env   []string
	stdin *os.File  // nil: empty
	log   io.Writer // gets all that it prints; may be nil
}

// pipeTime is how long the output of a program that has ended is waited for.
const pipeTime = 5 * time.Second

// run returns what the program printed to its standard output. When ctx ends, it and all that it started are killed; when
// this process dies, the kernel kills it.
func (c tool) run(ctx context.Context) (out []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The kernel sends Pdeathsig when the thread that started the child ends, so the thread is kept until then.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		out, err = c.locked(ctx)
	}()
	<-done
	return out, err
}

func (c tool) locked(ctx context.Context) ([]byte, error) {
	path, err := exec.LookPath(c.argv[0])
	if err != nil {
		return nil, fmt.Errorf("%s is not installed", c.argv[0])
	}
	var out, complaints, all bytes.Buffer
	cmd := &exec.Cmd{
		Path: path, Args: c.argv, Dir: c.dir, Env: c.env,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
		WaitDelay:   pipeTime, // a server that it started may hold the pipes for ever
	}
	if c.stdin != nil {
		cmd.Stdin = c.stdin
	}
	both := &shared{to: []io.Writer{&all}}
	if c.log != nil {
		both.to = append(both.to, c.log)
	}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, both), io.MultiWriter(&complaints, both)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err = cmd.Wait()
	if !stop() {
		return nil, context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return out.Bytes(), &toolError{argv: c.argv, err: err, why: lastLine(complaints.String()), tail: tail(all.String())}
	}
	return out.Bytes(), nil
}

// shared lets two streams be written to the same places.
type shared struct {
	mu sync.Mutex
	to []io.Writer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.to {
		if n, err := w.Write(p); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

// toolError is a program that did not end well.
type toolError struct {
	argv []string
	err  error
	why  string // the last line of its standard error
	tail string // what it printed last
}

func (e *toolError) Error() string {
	why := e.why
	if why == "" {
		why = e.err.Error()
	}
	return fmt.Sprintf("%s %s: %s", e.argv[0], e.argv[1], why)
}

func (e *toolError) Unwrap() error { return e.err }

// tailLines is how much of a program's output goes into an error.
const tailLines = 20

// tail is the last lines of what a program printed, as a terminal would show them: Vagrant draws its progress over itself.
func tail(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, "\r")
		if i := strings.LastIndexAny(line, "\r"); i >= 0 {
			line = line[i+1:]
		}
		if i := strings.LastIndex(line, "\x1b[K"); i >= 0 {
			line = line[i+len("\x1b[K"):]
		}
		if strings.HasPrefix(line, "\tfrom /") { // Ruby's way from there to here
			continue
		}
		if line = strings.TrimRight(line, " "); line != "" {
			lines = append(lines, line)
		}
	}
	if n := len(lines); n > tailLines {
		lines = lines[n-tailLines:]
	}
	return strings.Join(lines, "\n")
}

func lastLine(text string) string {
	text = tail(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// plainEnv is the environment for programs whose output is read: the user's, but in English.
func plainEnv(extra ...string) []string {
	return append(append(os.Environ(), "LC_ALL=C.UTF-8"), extra...)
}
