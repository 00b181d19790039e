package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/saigen-lab/saigen/lab"
)

// Client is the host's side of one connection to an agent. Its methods are safe for concurrent use; drivers embed it.
type Client struct {
	mux *yamux.Session
}

// Info is what an agent says about itself and its machine.
type Info struct {
	Version string    // the build of the agent: the same as Build()
	Boot    time.Time // when the machine's kernel, or its container, was started; later by the time in which a restored machine was frozen
}

// retryEvery is how often Dial knocks while the machine comes up.
const retryEvery = 10 * time.Millisecond

// Dial connects to the agent that listens on a unix socket, trying again until ctx ends: the machine may be booting
// still. The path may be longer than a socket address can be. An agent of another build is an error at once.
func Dial(ctx context.Context, socket string) (*Client, error) {
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		c, err := dialOnce(ctx, socket)
		if err == nil {
			return c, nil
		}
		if errors.Is(err, errOtherBuild) {
			return nil, fmt.Errorf("cannot use agent at %s: %w", socket, err)
		}
		select {
		case <-ctx.Done():
			return nil, unreachable(ctx, socket, err)
		case <-tick.C:
		}
	}
}

// unreachable is the error of a host that gave up; err is that of its last try.
func unreachable(ctx context.Context, where string, err error) error {
	if !errors.Is(err, context.Cause(ctx)) {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return &lab.InfraError{
		What: "cannot reach the agent at " + where,
		Hint: "the machine did not come up, or saigen-agent.service does not run in it",
		Err:  err,
	}
}

func dialOnce(ctx context.Context, socket string) (*Client, error) {
	conn, err := dialUnix(socket)
	if err != nil {
		return nil, err
	}
	return Connect(ctx, conn)
}

// dialUnix reaches a socket through a descriptor of its folder, since sun_path holds 108 bytes.
func dialUnix(socket string) (net.Conn, error) {
	dir, err := os.Open(filepath.Dir(socket))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return net.Dial("unix", "/proc/self/fd/"+strconv.Itoa(int(dir.Fd()))+"/"+filepath.Base(socket))
}

// Connect greets the agent at the other end of conn, which it then owns, and drops whatever was said on that way before.
// It is for ways in that are no unix socket of the agent's. It waits for an agent that is not there yet until ctx ends.
func Connect(ctx context.Context, conn io.ReadWriteCloser) (*Client, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	l := newLink(conn)
	err := l.meet(Build())
	if !stop() {
		err = fmt.Errorf("no answer from an agent: %w", context.Cause(ctx))
		if len(l.skipped) > 0 {
			err = fmt.Errorf("%w; instead came %q", err, l.skipped)
		}
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	mux, err := yamux.Client(&guard{ReadWriteCloser: &conversation{l: l, end: conn.Close}}, muxConfig())
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &Client{mux: mux}, nil
}

// Close ends the connection. Commands that run over it are killed.
func (c *Client) Close() error { return c.mux.Close() }

// Lost is closed when the connection has ended.
func (c *Client) Lost() <-chan struct{} { return c.mux.CloseChan() }

// Hello asks the agent who it is.
func (c *Client) Hello(ctx context.Context) (Info, error) {
	var a helloAnswer
	if err := c.ask(ctx, request{Op: opHello}, &a); err != nil {
		return Info{}, fmt.Errorf("cannot greet agent: %w", err)
	}
	return Info(a), nil
}

// AddAccounts makes the accounts that are not there yet, in that order, and opens their sessions.
func (c *Client) AddAccounts(ctx context.Context, accounts []lab.Account) error {
	if err := c.ask(ctx, request{Op: opAccounts, Accounts: accounts}, nil); err != nil {
		return fmt.Errorf("cannot add accounts: %w", err)
	}
	return nil
}

// Put writes a file, whole or not at all.
func (c *Client) Put(ctx context.Context, f lab.File) error {
	s, err := c.open(ctx, request{Op: opPut, Put: &putRequest{Path: f.Path, Mode: f.Mode, Owner: f.Owner}})
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", f.Path, err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if _, err := (dataWriter{s.w, frameData}).Write(f.Data); err == nil {
			_ = s.w.write(frameDataEnd, nil)
		}
	}()
	err = s.answer(nil) // it may come before all is sent: the agent reads no more when it cannot write
	s.close()
	<-sent
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", f.Path, err)
	}
	return nil
}

// Watch has the machine observe a probe until ctx ends, and calls each for every observation, in order.
func (c *Client) Watch(ctx context.Context, p lab.Probe, each func(lab.Observation)) error {
	s, err := c.open(ctx, request{Op: opWatch, Watch: &p})
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("cannot watch %s: %w", p.Address, err)
	}
	defer s.close()
	if err := s.observations(pace{began: time.Now(), every: p.Every}, each); err != nil && ctx.Err() == nil {
		return fmt.Errorf("cannot watch %s: %w", p.Address, err)
	}
	return nil
}

// observations calls each for every observation until there is an error: a watch has no other end.
func (s *stream) observations(at pace, each func(lab.Observation)) error {
	for {
		kind, payload, err := s.next()
		if err != nil || s.ctx.Err() != nil {
			return err
		}
		if kind != frameObservation {
			continue
		}
		if err := at.take(time.Now(), len(payload)); err != nil {
			return err
		}
		var o lab.Observation
		if err := json.Unmarshal(payload, &o); err != nil {
			return fmt.Errorf("cannot read observation: %w", err)
		}
		each(o)
	}
}

// ask sends a request that is answered by one frame.
func (c *Client) ask(ctx context.Context, q request, into any) error {
	s, err := c.open(ctx, q)
	if err != nil {
		return err
	}
	defer s.close()
	return s.answer(into)
}

func (c *Client) open(ctx context.Context, q request) (*stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	header, err := json.Marshal(q)
	if err == nil && len(header) > maxFrame {
		err = errFrameTooBig
	}
	if err != nil {
		return nil, fmt.Errorf("cannot write the request: %w", err)
	}
	conn, err := c.mux.OpenStream()
	if err != nil {
		return nil, lost(err)
	}
	s := newStream(ctx, conn)
	if err := s.w.write(frameRequest, header); err != nil {
		s.close()
		return nil, s.explain(err)
	}
	return s, nil
}

// stream is one request. It is closed when ctx ends.
type stream struct {
	ctx  context.Context
	conn io.ReadWriteCloser
	r    *frameReader
	w    *frameWriter
	stop func() bool
}

func newStream(ctx context.Context, conn io.ReadWriteCloser) *stream {
	s := &stream{ctx: ctx, conn: conn, r: newFrameReader(conn), w: newFrameWriter(conn)}
	s.stop = context.AfterFunc(ctx, func() { s.abort() })
	return s
}

// abort ends a read that is under way; closing alone would still wait for the peer's end.
func (s *stream) abort() {
	if d, ok := s.conn.(interface{ SetReadDeadline(time.Time) error }); ok {
		_ = d.SetReadDeadline(time.Unix(1, 0))
	}
	_ = s.conn.Close()
}

func (s *stream) close() {
	s.stop()
	_ = s.conn.Close()
}

// next returns the next frame; an error frame is returned as the error that it holds.
func (s *stream) next() (byte, []byte, error) {
	kind, payload, err := s.r.next()
	if err != nil {
		return 0, nil, s.explain(err)
	}
	if kind == frameError {
		var f failure
		if err := json.Unmarshal(payload, &f); err != nil {
			return 0, nil, fmt.Errorf("cannot read the agent's error: %w", err)
		}
		return 0, nil, f.error()
	}
	return kind, payload, nil
}

// answer waits for the last frame.
func (s *stream) answer(into any) error {
	for {
		kind, payload, err := s.next()
		if err != nil {
			return err
		}
		if kind != frameDone {
			continue
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(payload, into)
	}
}

func (s *stream) explain(err error) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return lost(err)
}

// ErrLost is what errors are when a connection has ended that should not have: the agent has, or its machine. It stays so.
var ErrLost = errors.New("the connection to the machine's agent was lost")

func lost(err error) error { return &lab.InfraError{What: ErrLost.Error(), Err: lostError{err}} }

// lostError is why a connection has ended.
type lostError struct{ error }

func (lostError) Is(target error) bool { return target == ErrLost }

func (e lostError) Unwrap() error { return e.error }
