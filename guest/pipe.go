package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// pipeWait is how long the machine's side of a pipe waits for an agent that is coming up.
const pipeWait = time.Minute

// joinAgent joins in and out to the agent that listens on a unix socket, until one of the two ends.
func joinAgent(ctx context.Context, socket string, in io.Reader, out io.Writer) error {
	if socket == "" {
		return errors.New("--socket is needed")
	}
	limited, cancel := context.WithTimeout(ctx, pipeWait)
	defer cancel()
	var conn net.Conn
	var last error
	if err := waitFor(limited, retryEvery, func() bool {
		conn, last = dialUnix(socket)
		return last == nil
	}); err != nil {
		return fmt.Errorf("cannot reach the agent at %s: %w", socket, last)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	go func() {
		_, _ = io.Copy(conn, in)
		_ = conn.Close() // the host has gone
	}()
	_, err := io.Copy(out, conn)
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// ConnectCommand connects to an agent through the standard streams of a program that leads to it, such as
//
//	ssh machine sudo /usr/lib/saigen/saigen guest pipe --socket /run/saigen-host/agent.sock
//
// cmd has not been started, and its streams and attributes are set here. It is killed and waited for when the client is
// closed or ctx ends before the agent has answered. What it writes on its standard error is the Tail of the error.
func ConnectCommand(ctx context.Context, cmd *exec.Cmd) (*Client, error) {
	p, err := startPiped(cmd)
	if err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", cmd.Args, err)
	}
	c, err := Connect(ctx, p)
	if err == nil {
		return c, nil
	}
	_ = p.Close()
	if errors.Is(err, errOtherBuild) {
		return nil, fmt.Errorf("cannot use the agent behind %q: %w", cmd.Args, err)
	}
	e := &lab.InfraError{
		What: fmt.Sprintf("cannot reach the agent through %q", cmd.Args),
		Hint: "run that command by hand: it must wait, and print a line with " + greeting + " when it is given one",
		Tail: p.stderr.String(),
		Err:  err,
	}
	if ctx.Err() == nil && p.ended != nil {
		e.Err = fmt.Errorf("%w: %w", p.ended, err)
	}
	return nil, e
}

// piped is a child process as a connection.
type piped struct {
	io.Reader
	io.Writer
	in, out *os.File
	cmd     *exec.Cmd
	stderr  *lastOf
	once    sync.Once
	reaped  chan struct{}
	ended   error // of the child; once reaped is closed
}

// startPiped gives the child a process group of its own: a ^C in the terminal is for saigen, which needs the connection
// to clean up.
func startPiped(cmd *exec.Cmd) (*piped, error) {
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirIn.Close(), in.Close())
	}
	p := &piped{Reader: out, Writer: in, out: out, in: in, cmd: cmd, stderr: &lastOf{}, reaped: make(chan struct{})}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirIn, theirOut, p.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // for a stderr that something else holds: a master connection of ssh
	err = cmd.Start()
	_, _ = theirIn.Close(), theirOut.Close()
	if err != nil {
		_, _ = in.Close(), out.Close()
		return nil, err
	}
	go func() {
		defer close(p.reaped)
		p.ended = cmd.Wait()
	}()
	return p, nil
}

// Close kills the child and waits for it.
func (p *piped) Close() error {
	p.once.Do(func() {
		_, _ = p.in.Close(), p.out.Close()
		_ = p.cmd.Process.Kill()
		<-p.reaped
	})
	return nil
}

// lastOf keeps the end of what is written.
type lastOf struct {
	mu  sync.Mutex
	buf []byte
}

const keepStderr = 4 << 10

func (l *lastOf) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	l.buf = l.buf[max(0, len(l.buf)-keepStderr):]
	return len(p), nil
}

func (l *lastOf) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(bytes.TrimSpace(l.buf))
}
