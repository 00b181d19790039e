package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// PortName is how a VM names the virtio-serial ports that its agent serves: port n is PortName followed by n. Each
// serves one host at a time, so a machine has Ports of them.
const PortName = "org.saigen.agent."

// Ports is how many ways in a VM has.
const Ports = 4

// hostPipe is the machine's end of a virtio-serial port. Its reads return io.EOF while no host is connected.
type hostPipe interface {
	io.ReadWriteCloser
	SetWriteDeadline(t time.Time) error
	connected() bool
	// await returns when a host is connected.
	await() error
}

// servePort speaks with the hosts that connect to a port, one after another, until ctx or the port ends.
func (a *agent) servePort(ctx context.Context, p hostPipe) error {
	defer p.Close()
	stop := context.AfterFunc(ctx, func() { _ = p.Close() })
	defer stop()
	l := newLink(p)
	said := false
	for {
		if !said && p.connected() {
			a.announce(l, p) // it may have spoken to an agent that was here before
			said = true
		}
		host, err := l.hear()
		if errors.Is(err, io.EOF) {
			err = p.await()
			if err == nil {
				continue
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.meet(ctx, l, host); err != nil {
			a.log.Warn("session ended", "error", err)
			said = errors.Is(err, errOtherBuild) // then it was told so
		}
	}
}

// announceTime is how long a host that does not read can hold up an announcement.
const announceTime = time.Second

// announce tells a host that no session is open, whatever it believes.
func (a *agent) announce(l *link, p hostPipe) {
	_ = p.SetWriteDeadline(time.Now().Add(announceTime))
	defer func() { _ = p.SetWriteDeadline(time.Time{}) }()
	if err := l.say(a.build, noNonce); err != nil {
		a.log.Warn("cannot tell the host that no session is open", "error", err)
	}
}

// port is a virtio-serial port. Linux's driver (drivers/char/virtio_console.c) lets one process open it; while no host
// is connected, reads return 0, poll tells EPOLLHUP, and writes wait.
type port struct{ *os.File }

func (p port) connected() bool {
	there := false
	if raw, err := p.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { there = hostThere(fd) })
	}
	return there
}

// await waits without spinning: the poller is edge-triggered, and the driver wakes it at each change of the host's end.
func (p port) await() error {
	raw, err := p.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Write(hostThere)
}

func hostThere(fd uintptr) bool {
	poll := []unix.PollFd{{Fd: int32(fd)}} // hang-up is told also when nothing is asked for
	_, err := unix.Poll(poll, 0)
	return err == nil && poll[0].Revents&unix.POLLHUP == 0
}

// ports finds the machine's ports and serves them. There is no udev to tell when one comes, and a driver's module may
// be loaded late, so it looks again: often while the machine comes up, and not at all while it has them all. Where the
// machine is saved, each of its copies would begin with such a look.
type ports struct {
	agent *agent
	class string // "/sys/class/virtio-ports"
	dev   string // "/dev"
	open  func(path string) (hostPipe, error)

	often, seldom time.Duration // between looks

	ended chan struct{} // a port is served no more

	mu     sync.Mutex
	served map[string]bool // by device
	failed map[string]string
}

func newPorts(a *agent) *ports {
	return &ports{
		agent: a, class: "/sys/class/virtio-ports", dev: "/dev", open: openPort, often: lookOften, seldom: lookSeldom,
		ended: make(chan struct{}, 1), served: map[string]bool{}, failed: map[string]string{},
	}
}

func openPort(path string) (hostPipe, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	return port{f}, nil
}

const (
	lookOften  = 50 * time.Millisecond
	lookSeldom = 5 * time.Second
	comingUp   = 2 * time.Minute // on a machine that is emulated
)

// serve returns when ctx has ended and no port is served any more.
func (s *ports) serve(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	began := time.Now()
	tick := time.NewTicker(s.often)
	defer tick.Stop()
	s.look(ctx, &all)
	for complete := false; ; {
		switch {
		case s.all():
			complete = true
			tick.Stop()
		case complete || time.Since(began) > comingUp:
			tick.Reset(s.seldom)
		}
		select {
		case <-tick.C:
			s.look(ctx, &all)
		case <-s.ended: // it is looked for again in a while
		case <-ctx.Done():
			return
		}
	}
}

// all says whether every port that a VM has is served.
func (s *ports) all() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.served) >= Ports
}

// look serves the ports that are not served yet.
func (s *ports) look(ctx context.Context, all *sync.WaitGroup) {
	entries, err := os.ReadDir(s.class)
	if err != nil {
		return // the machine is no VM, or the driver is not loaded yet
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		device := e.Name()
		name, err := os.ReadFile(filepath.Join(s.class, device, "name"))
		if err != nil || s.served[device] || !strings.HasPrefix(string(name), PortName) {
			continue
		}
		p, err := s.open(filepath.Join(s.dev, device))
		if err != nil {
			s.complain(device, err)
			continue
		}
		delete(s.failed, device)
		s.served[device] = true
		s.agent.log.Info("agent serves port", "name", strings.TrimSpace(string(name)), "device", device)
		all.Go(func() {
			if err := s.agent.servePort(ctx, p); err != nil {
				s.agent.log.Warn("port ended", "device", device, "error", err)
			}
			s.mu.Lock()
			delete(s.served, device)
			s.mu.Unlock()
			select {
			case s.ended <- struct{}{}:
			default: // it is known already that one has
			}
		})
	}
}

// complain says once what keeps a port from being opened.
func (s *ports) complain(device string, err error) {
	if s.failed[device] != err.Error() {
		s.failed[device] = err.Error()
		s.agent.log.Warn("cannot open port", "error", fmt.Errorf("%s: %w", device, err))
	}
}
