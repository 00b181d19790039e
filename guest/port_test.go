package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// queues is a virtio-serial port with its queues: what one end wrote stays in them whoever holds the other end. Its own
// methods are the machine's end.
type queues struct {
	mu       sync.Mutex
	change   *sync.Cond
	down, up []byte // to the machine, to the host
	host     *hostEnd
	visible  bool // the machine knows that a host is connected
	closed   bool
	limit    time.Time
	waits    int // of await
}

const wireHolds = 8 << 10

func newWire() *queues {
	w := &queues{}
	w.change = sync.NewCond(&w.mu)
	return w
}

func (w *queues) do(try func() (int, error)) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if w.closed {
			return 0, os.ErrClosed
		}
		if !w.limit.IsZero() && !w.limit.After(time.Now()) {
			return 0, os.ErrDeadlineExceeded
		}
		if n, err := try(); n > 0 || err != nil {
			w.change.Broadcast()
			return n, err
		}
		w.change.Wait()
	}
}

func (w *queues) Read(p []byte) (int, error) {
	return w.do(func() (int, error) {
		if len(w.down) == 0 && !w.visible {
			return 0, io.EOF
		}
		n := copy(p, w.down)
		w.down = w.down[n:]
		return n, nil
	})
}

func (w *queues) Write(p []byte) (done int, err error) {
	for err == nil && done < len(p) {
		var n int
		n, err = w.do(func() (int, error) {
			n := 0
			if w.visible {
				n = min(len(p)-done, wireHolds-len(w.up))
				w.up = append(w.up, p[done:done+n]...)
			}
			return n, nil
		})
		done += n
	}
	return done, err
}

func (w *queues) Close() error {
	w.set(func() { w.closed = true })
	return nil
}

func (w *queues) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	w.change.Broadcast()
}

func (w *queues) SetDeadline(t time.Time) error {
	w.set(func() { w.limit = t })
	if !t.IsZero() {
		time.AfterFunc(time.Until(t), w.change.Broadcast)
	}
	return nil
}

func (w *queues) SetWriteDeadline(t time.Time) error { return w.SetDeadline(t) }

func (w *queues) connected() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.visible
}

func (w *queues) await() error {
	_, err := w.do(func() (int, error) {
		w.waits++
		if w.visible {
			return 1, nil
		}
		return 0, nil
	})
	return err
}

// hostEnd is one connection of a host.
type hostEnd struct{ w *queues }

// connect takes the place of the host that was connected. The machine may not be told that it was another one.
func (w *queues) connect() *hostEnd {
	h := &hostEnd{w}
	w.set(func() { w.host, w.visible = h, true })
	return h
}

func (h *hostEnd) do(try func() int) (int, error) {
	w := h.w
	n, err := w.doHost(func() (int, error) {
		if w.host != h {
			return 0, io.ErrClosedPipe
		}
		return try(), nil
	})
	return n, err
}

// doHost is do without the machine's deadline.
func (w *queues) doHost(try func() (int, error)) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if n, err := try(); n > 0 || err != nil {
			w.change.Broadcast()
			return n, err
		}
		w.change.Wait()
	}
}

func (h *hostEnd) Read(p []byte) (int, error) {
	return h.do(func() int {
		n := copy(p, h.w.up)
		h.w.up = h.w.up[n:]
		return n
	})
}

func (h *hostEnd) Write(p []byte) (done int, err error) {
	for err == nil && done < len(p) {
		var n int
		n, err = h.do(func() int {
			n := min(len(p)-done, wireHolds-len(h.w.down))
			h.w.down = append(h.w.down, p[done:done+n]...)
			return n
		})
		done += n
	}
	return done, err
}

func (h *hostEnd) Close() error {
	h.w.set(func() {
		if h.w.host == h {
			h.w.host, h.w.visible = nil, false
		}
	})
	return nil
}

// vanish ends the connection without the machine's knowing, and cuts off what is on its way at any byte.
func (h *hostEnd) vanish() {
	h.w.set(func() {
		h.w.host = nil
		h.w.down = h.w.down[:len(h.w.down)-rand.IntN(len(h.w.down)+1)]
		h.w.up = h.w.up[rand.IntN(len(h.w.up)+1):]
	})
}

// tricky is output in which everything occurs that the link itself uses.
type tricky struct{}

func (tricky) Read(p []byte) (int, error) {
	const say = "\xc1m" + greeting + " " + wireVersion + " x -\n\xc1\xc1e\xc1"
	for i := range p {
		p[i] = say[i%len(say)]
	}
	return len(p), nil
}

func serveWire(t *testing.T, w *queues, a *agent) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.servePort(ctx, w) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// echo sends bytes that no other session has there and back.
func echo(t *testing.T, c *Client) {
	t.Helper()
	data := make([]byte, 100+rand.IntN(50_000))
	for i := range data {
		data[i] = byte(rand.IntN(256))
	}
	r := mustRun(t, c, lab.Command{Argv: []string{"cat"}, Dir: "/", Stdin: bytes.NewReader(data)})
	if !bytes.Equal(r.Stdout, data) {
		t.Fatalf("%d bytes went in, %d came back, or others", len(data), len(r.Stdout))
	}
}

// TestPort: hosts come and go in mid-word, seen or unseen, and the next one always begins afresh.
func TestPort(t *testing.T) {
	w := newWire()
	defer serveWire(t, w, newAgent(nil, quiet()))()
	for round := range 60 {
		h := w.connect()
		c, err := Connect(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		echo(t, c)
		flows, ended := make(chan int, 1), make(chan error, 1)
		go func() {
			cmd := sh("echo $$; exec cat")
			cmd.Stdin = tricky{}
			first := true
			cmd.Stdout = writerFunc(func(p []byte) (int, error) {
				if first {
					line, _, _ := strings.Cut(string(p), "\n")
					flows <- pidOf(t, []byte(line))
				}
				first = false
				return len(p), nil
			})
			_, err := c.Run(context.WithoutCancel(t.Context()), cmd)
			ended <- err
		}()
		pid := <-flows
		if round%2 == 0 {
			h.vanish()
		}
		_ = c.Close()
		if err := <-ended; err == nil {
			t.Error("a command without an end ended")
		}
		if round%2 == 1 {
			if err := waitFor(t.Context(), pollEvery, func() bool { return !alive(pid) }); err != nil {
				t.Fatalf("the command of a host that went lives: %v", err)
			}
		}
		defer func() {
			if err := waitFor(t.Context(), pollEvery, func() bool { return !alive(pid) }); err != nil {
				t.Errorf("the command of a session that is over lives: %v", err)
			}
		}()
	}
	last, err := Connect(t.Context(), w.connect())
	if err != nil {
		t.Fatal(err)
	}
	echo(t, last)
	_ = last.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waits > 1000 {
		t.Errorf("the agent looked %d times for a host", w.waits)
	}
}

// TestPortAgentStartsAgain: a host learns that its session is gone although the port stays open, and can have a new one.
func TestPortAgentStartsAgain(t *testing.T) {
	w := newWire()
	stop := serveWire(t, w, newAgent(nil, quiet()))
	h := w.connect()
	c, err := Connect(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	echo(t, c)
	stop()
	w.set(func() { w.closed, w.down = false, nil })
	greeted := make(chan *Client, 1)
	defer serveWire(t, w, newAgent(nil, quiet()))()
	<-c.Lost()
	go func() {
		c, err := Connect(t.Context(), w.connect())
		if err != nil {
			t.Error(err)
		}
		greeted <- c
	}()
	if again := <-greeted; again != nil {
		echo(t, again)
		_ = again.Close()
	}
}

// TestPortGreetingLost: what a host said to an agent that is no more is lost, and it says it again.
func TestPortGreetingLost(t *testing.T) {
	w := newWire()
	greeted := make(chan error, 1)
	go func() {
		c, err := Connect(t.Context(), w.connect())
		if err == nil {
			_ = c.Close()
		}
		greeted <- err
	}()
	if err := waitFor(t.Context(), pollEvery, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return bytes.HasSuffix(w.down, []byte("\n"))
	}); err != nil {
		t.Fatal(err)
	}
	w.set(func() { w.down = nil })
	defer serveWire(t, w, newAgent(nil, quiet()))()
	if err := <-greeted; err != nil {
		t.Error(err)
	}
}

func TestPortOtherBuild(t *testing.T) {
	w := newWire()
	a := newAgent(nil, quiet())
	a.build = "another"
	defer serveWire(t, w, a)()
	for range 2 {
		if _, err := Connect(t.Context(), w.connect()); !errors.Is(err, errOtherBuild) {
			t.Errorf("got %v", err)
		}
	}
}

// TestPortsAreFound: by name, also when they come late, and only ours.
func TestPortsAreFound(t *testing.T) {
	dir := t.TempDir()
	opened := make(chan string, 10)
	s := newPorts(newAgent(nil, quiet()))
	s.class = filepath.Join(dir, "virtio-ports")
	s.open = func(path string) (hostPipe, error) {
		opened <- filepath.Base(path)
		return newWire(), nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.serve(ctx); close(ended) }()
	add := func(device, name string) {
		if err := os.MkdirAll(filepath.Join(s.class, device), 0o755); err != nil {
			t.Fatal(err)
		}
		if name == "" {
			return
		}
		if err := os.WriteFile(filepath.Join(s.class, device, "name"), []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	add("vport0p1", "org.qemu.guest_agent.0")
	add("vport0p2", "")
	add("vport0p3", PortName+"0")
	if got := <-opened; got != "vport0p3" {
		t.Errorf("opened %s", got)
	}
	add("vport0p2", PortName+"1") // its name comes after it
	if got := <-opened; got != "vport0p2" {
		t.Errorf("opened %s", got)
	}
	cancel()
	<-ended
	if len(opened) > 0 {
		t.Errorf("opened %s too", <-opened)
	}
}

// still is a port that no host connects to, until it ends.
type still struct {
	hostPipe
	ended chan struct{}
}

func (s still) Read([]byte) (int, error) { return 0, io.EOF }
func (s still) Close() error             { return nil }
func (s still) connected() bool          { return false }
func (s still) await() error             { <-s.ended; return io.ErrClosedPipe }

// TestPortsAreLookedForAgain: not while all are there, and again after one has ended.
func TestPortsAreLookedForAgain(t *testing.T) {
	s := newPorts(newAgent(nil, quiet()))
	s.class, s.often, s.seldom = t.TempDir(), time.Millisecond, time.Millisecond
	add := func(device, name string) {
		if err := os.Mkdir(filepath.Join(s.class, device), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.class, device, "name"), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	type one struct {
		device string
		still
	}
	opened := make(chan one, 2*Ports)
	s.open = func(path string) (hostPipe, error) {
		o := one{filepath.Base(path), still{ended: make(chan struct{})}}
		opened <- o
		return o, nil
	}
	for n := range Ports {
		add(fmt.Sprint("vport", n), fmt.Sprint(PortName, n))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var served sync.WaitGroup
	served.Go(func() { s.serve(ctx) })
	var all []one
	next := func() one {
		t.Helper()
		select {
		case o := <-opened:
			all = append(all, o)
		case <-time.After(10 * time.Second):
			t.Fatalf("only %d ports were opened", len(all))
		}
		return all[len(all)-1]
	}
	for range Ports {
		next()
	}
	add("late", PortName+"late")
	tick := time.NewTicker(s.often)
	defer tick.Stop()
	for range 50 { // of the looks that there must not be
		<-tick.C
	}
	if len(opened) > 0 {
		t.Fatalf("it looked for ports while it had them all, and opened %s", (<-opened).device)
	}
	close(all[0].ended)
	again := map[string]bool{}
	for range 2 {
		again[next().device] = true
	}
	if !again["late"] || !again[all[0].device] {
		t.Errorf("after %s ended it opened %v", all[0].device, again)
	}
	cancel()
	for _, o := range all[1:] {
		close(o.ended)
	}
	served.Wait()
}
