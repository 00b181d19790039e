package guest

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// cmdIO is our ends of a command's pipes, or of its terminal.
type cmdIO struct {
	stdin    io.WriteCloser
	outputs  []*output
	childEnd []*os.File
	resize   func(rows, cols uint16)
}

// wire gives a command its streams and a session id of its own, by which what it started is found again.
func wire(cmd *exec.Cmd, q runRequest) (*cmdIO, error) {
	if q.TTY != nil {
		return wireTTY(cmd, q)
	}
	c := &cmdIO{resize: func(uint16, uint16) {}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if q.Stdin {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		cmd.Stdin, c.stdin = r, w
		c.childEnd = append(c.childEnd, r)
	}
	for _, kind := range []byte{frameStdout, frameStderr} {
		r, w, err := os.Pipe()
		if err != nil {
			c.closeChildEnds()
			c.close()
			return nil, err
		}
		c.childEnd = append(c.childEnd, w)
		c.outputs = append(c.outputs, newOutput(r, kind))
		if kind == frameStdout {
			cmd.Stdout = w
		} else {
			cmd.Stderr = w
		}
	}
	return c, nil
}

func wireTTY(cmd *exec.Cmd, q runRequest) (*cmdIO, error) {
	first, tty, err := pty.Open()
	if err != nil {
		return nil, err
	}
	size := func(f *os.File, rows, cols uint16) {
		_ = pty.Setsize(f, &pty.Winsize{Rows: rows, Cols: cols})
	}
	size(tty, q.TTY.Rows, q.TTY.Cols)
	// The library leaves the terminal's descriptor blocking; a second, non-blocking one can be given deadlines.
	fd, err := unix.FcntlInt(first.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	_ = first.Close()
	if err != nil {
		_ = tty.Close()
		return nil, err
	}
	ptmx := os.NewFile(uintptr(fd), "terminal")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Env = append(cmd.Env, "TERM="+q.TTY.Term)
	out := newOutput(ptmx, frameStdout)
	out.tty = true
	resize := func(rows, cols uint16) {
		if raw, err := ptmx.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
			})
		}
	}
	return &cmdIO{stdin: ttyInput{ptmx}, outputs: []*output{out}, childEnd: []*os.File{tty}, resize: resize}, nil
}

// ttyInput is a terminal's keyboard: its end is ^D, since the terminal itself must stay open for the output.
type ttyInput struct{ f *os.File }

func (t ttyInput) Write(p []byte) (int, error) { return t.f.Write(p) }

func (t ttyInput) Close() error {
	_, err := t.f.Write([]byte{4})
	return err
}

func (c *cmdIO) closeChildEnds() {
	for _, f := range c.childEnd {
		_ = f.Close()
	}
}

func (c *cmdIO) close() {
	if c.stdin != nil {
		_ = c.stdin.Close()
	}
	for _, o := range c.outputs {
		_ = o.f.Close()
	}
}

// output is one stream of a command on its way to the host.
type output struct {
	f    *os.File
	kind byte
	tty  bool
}

func newOutput(f *os.File, kind byte) *output {
	return &output{f: f, kind: kind}
}

// copyTo sends what the command writes, until it and all that hold the stream have closed it, or drain was called. It
// goes on emptying the stream afterwards: a process that the command left behind would otherwise die of SIGPIPE or
// block, which it would not in a session of a person.
func (o *output) copyTo(w *frameWriter) error {
	buf := make([]byte, chunk)
	for {
		n, err := o.f.Read(buf)
		if n > 0 {
			if werr := w.write(o.kind, buf[:n]); werr != nil {
				go o.discard()
				return werr
			}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if o.tty {
				_ = o.f.Close()
				return nil
			}
			err := o.rest(buf, w)
			go o.discard()
			return err
		}
		if err != nil { // io.EOF; EIO is the end of a terminal
			_ = o.f.Close()
			return nil
		}
	}
}

// rest sends what is in the pipe now.
func (o *output) rest(buf []byte, w *frameWriter) error {
	_ = o.f.SetReadDeadline(time.Time{})
	raw, err := o.f.SyscallConn()
	if err != nil {
		return err
	}
	for {
		n := 0
		if err := raw.Read(func(fd uintptr) bool {
			n, _ = unix.Read(int(fd), buf)
			return true
		}); err != nil || n <= 0 {
			return nil
		}
		if err := w.write(o.kind, buf[:n]); err != nil {
			return err
		}
	}
}

func (o *output) discard() {
	_ = o.f.SetReadDeadline(time.Time{})
	_, _ = io.Copy(io.Discard, o.f)
	_ = o.f.Close()
}

// drain is called when the command has ended: all that it wrote is in the pipe. A terminal is hung up by the kernel
// when its leader ends and then reads as ended, after what is still on its way; the limit is for one that was handed on.
func (o *output) drain() {
	limit := time.Now()
	if o.tty {
		limit = limit.Add(time.Second)
	}
	_ = o.f.SetReadDeadline(limit)
}
