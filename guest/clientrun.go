package guest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// killGrace is how long Run waits, after it was cancelled, to hear that the command is dead.
const killGrace = 5 * time.Second

// Run executes a command as lab.Running says. A Stdin that blocks outlives the command: its reader ends with the next
// byte or its end.
func (c *Client) Run(ctx context.Context, cmd lab.Command) (lab.Result, error) {
	if ctx.Err() != nil {
		return lab.Result{}, fmt.Errorf("cannot run %q: %w", cmd.Argv, context.Cause(ctx))
	}
	// The stream must outlive ctx, so that the kill can be asked for and waited for.
	s, err := c.open(context.WithoutCancel(ctx), runRequestOf(cmd))
	if err != nil {
		return lab.Result{}, fmt.Errorf("cannot run %q: %w", cmd.Argv, err)
	}
	defer s.close()
	return s.run(ctx, cmd)
}

func runRequestOf(cmd lab.Command) request {
	q := &runRequest{Argv: cmd.Argv, Account: cmd.Account, Dir: cmd.Dir, Env: cmd.Env, Stdin: cmd.Stdin != nil}
	if cmd.TTY != nil {
		q.TTY = &ttyRequest{Term: cmd.TTY.Term, Rows: cmd.TTY.Rows, Cols: cmd.TTY.Cols}
	}
	return request{Op: opRun, Run: q}
}

// run feeds the command, collects what it writes, and returns when it has ended. The request has been sent.
func (s *stream) run(ctx context.Context, cmd lab.Command) (lab.Result, error) {
	ended := make(chan struct{})
	defer close(ended)
	stop := context.AfterFunc(ctx, func() {
		grace := time.AfterFunc(killGrace, s.abort)
		_ = s.w.write(frameKill, nil)
		<-ended
		grace.Stop()
	})
	defer stop()

	feed := newFeed(s.w, ended)
	if cmd.Stdin != nil {
		go feed.copy(cmd.Stdin)
	}
	if cmd.TTY != nil && cmd.TTY.Resize != nil {
		go s.resizes(cmd.TTY.Resize, ended)
	}
	var stdout, stderr kept
	out, errw := io.Writer(&stdout), io.Writer(&stderr)
	if cmd.Stdout != nil {
		out = cmd.Stdout
	}
	if cmd.Stderr != nil {
		errw = cmd.Stderr
	}
	result := func() lab.Result { return lab.Result{Stdout: stdout.Bytes(), Stderr: stderr.Bytes()} }
	for {
		kind, payload, err := s.next()
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return result(), fmt.Errorf("cannot run %q: %w", cmd.Argv, err)
		}
		switch kind {
		case frameStdout, frameStderr:
			to := out
			if kind == frameStderr {
				to = errw
			}
			if _, err := to.Write(payload); err != nil {
				return result(), fmt.Errorf("cannot pass on the output of %q: %w", cmd.Argv, err)
			}
		case frameCredit:
			var n int
			if json.Unmarshal(payload, &n) == nil {
				feed.grant(n)
			}
		case frameDone:
			var a runAnswer
			if err := json.Unmarshal(payload, &a); err != nil {
				return result(), fmt.Errorf("cannot run %q: cannot read its end: %w", cmd.Argv, err)
			}
			r := result()
			r.Code, r.Signal, r.Took = a.Code, a.Signal, a.Took
			if ctx.Err() != nil {
				return r, fmt.Errorf("cannot run %q: %w", cmd.Argv, context.Cause(ctx))
			}
			return r, nil
		}
	}
}

func (s *stream) resizes(sizes <-chan [2]uint16, ended <-chan struct{}) {
	for {
		select {
		case size, ok := <-sizes:
			if !ok || s.w.writeJSON(frameResize, size) != nil {
				return
			}
		case <-ended:
			return
		}
	}
}

// feed sends stdin as the agent gives credit.
type feed struct {
	w      *frameWriter
	ended  <-chan struct{}
	mu     sync.Mutex
	credit int
	more   chan struct{}
}

func newFeed(w *frameWriter, ended <-chan struct{}) *feed {
	return &feed{w: w, ended: ended, credit: stdinCredit, more: make(chan struct{}, 1)}
}

func (f *feed) grant(n int) {
	f.mu.Lock()
	f.credit += n
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// take waits until something may be sent and says how much, at most n; 0 when the command has ended.
func (f *feed) take(n int) int {
	for {
		f.mu.Lock()
		n := min(n, f.credit)
		f.credit -= n
		f.mu.Unlock()
		if n > 0 {
			return n
		}
		select {
		case <-f.more:
		case <-f.ended:
			return 0
		}
	}
}

func (f *feed) copy(from io.Reader) {
	buf := make([]byte, chunk)
	for {
		n, err := from.Read(buf)
		for data := buf[:n]; len(data) > 0; {
			part := f.take(len(data))
			if part == 0 || f.w.write(frameData, data[:part]) != nil {
				return
			}
			data = data[part:]
		}
		if err != nil {
			_ = f.w.write(frameDataEnd, nil)
			return
		}
	}
}
