package labtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
)

// HostCommands returns a handler that runs commands as processes of the test, with dir as everybody's home. It lets the
// fake machine pass the conformance suite: exit codes, signals, streams and terminals are then those of real processes.
// The environment is that of the account's session, as far as the suite looks at it.
func HostCommands(dir string, accounts ...lab.Account) Handler {
	return func(ctx context.Context, cmd lab.Command) (lab.Result, error) {
		if len(cmd.Argv) == 2 && cmd.Argv[0] == "id" && cmd.Argv[1] == "-un" {
			name := cmd.Account
			if name == "" {
				name = "root"
			}
			return lab.Result{Stdout: []byte(name + "\n")}, nil
		}
		if len(cmd.Argv) == 2 && cmd.Argv[0] == "id" && cmd.Argv[1] == "-u" {
			return lab.Result{Stdout: fmt.Appendln(nil, uidOf(cmd.Account, accounts))}, nil
		}
		c := exec.Command(cmd.Argv[0], cmd.Argv[1:]...)
		c.Dir = cmd.Dir
		if c.Dir == "" {
			c.Dir = dir
		}
		c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, sessionEnv(cmd.Account, accounts)...)
		c.Env = append(c.Env, cmd.Env...)
		var stdout, stderr bytes.Buffer
		out, errOut := sink(cmd.Stdout, &stdout), sink(cmd.Stderr, &stderr)
		var err error
		if cmd.TTY != nil {
			err = runTTY(ctx, c, cmd, out)
		} else {
			err = runPipes(ctx, c, cmd.Stdin, out, errOut)
		}
		if ctx.Err() != nil {
			return lab.Result{}, ctx.Err()
		}
		r := lab.Result{Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return r, err
		}
		r.Code = exit.ExitCode()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			r.Code, r.Signal = 128+int(status.Signal()), unix.SignalName(status.Signal())
		}
		return r, nil
	}
}

// uidOf is 1000 for the first account.
func uidOf(account string, accounts []lab.Account) int {
	for i, a := range accounts {
		if a.Name == account {
			return 1000 + i
		}
	}
	return 0
}

// sessionEnv is what docs/sessions.md says of a kind of session.
func sessionEnv(account string, accounts []lab.Account) (env []string) {
	for _, a := range accounts {
		if a.Name != account {
			continue
		}
		if a.Session == lab.SessionLinger || a.Session == lab.SessionLogin {
			env = append(env, fmt.Sprintf("XDG_RUNTIME_DIR=/run/user/%d", uidOf(account, accounts)))
		}
		if a.Session == lab.SessionLogin {
			env = append(env, "XDG_SESSION_ID=1")
		}
	}
	return env
}

func sink(w io.Writer, otherwise *bytes.Buffer) io.Writer {
	if w != nil {
		return w
	}
	return otherwise
}

// runPipes runs a process in a group of its own, and kills the group when ctx ends.
func runPipes(ctx context.Context, c *exec.Cmd, stdin io.Reader, stdout, stderr io.Writer) error {
	c.Stdout, c.Stderr = stdout, stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.WaitDelay = time.Second
	// Not through c.Stdin: Wait would wait for a reader that nobody closes.
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("cannot start %q: %w", c.Args[0], err)
	}
	go func() {
		if stdin != nil {
			_, _ = io.Copy(in, stdin)
		}
		_ = in.Close()
	}()
	return wait(ctx, c)
}

func runTTY(ctx context.Context, c *exec.Cmd, cmd lab.Command, out io.Writer) error {
	c.Env = append(c.Env, "TERM="+cmd.TTY.Term)
	terminal, err := pty.StartWithSize(c, &pty.Winsize{Rows: cmd.TTY.Rows, Cols: cmd.TTY.Cols})
	if err != nil {
		return err
	}
	defer terminal.Close()
	ended, resized := make(chan struct{}), make(chan struct{})
	defer func() { close(ended); <-resized }() // before the terminal is closed: Setsize uses its bare descriptor
	go func() {
		defer close(resized)
		for {
			select {
			case size := <-cmd.TTY.Resize:
				_ = pty.Setsize(terminal, &pty.Winsize{Rows: size[0], Cols: size[1]})
			case <-ended:
				return
			}
		}
	}()
	if cmd.Stdin != nil {
		go func() { _, _ = io.Copy(terminal, cmd.Stdin) }()
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(out, terminal) // ends with EIO when the last process has closed it
	}()
	err = wait(ctx, c)
	<-read
	return err
}

// wait waits for a process that leads its group, and kills the group when ctx ends.
func wait(ctx context.Context, c *exec.Cmd) error {
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
	defer stop()
	return c.Wait()
}
