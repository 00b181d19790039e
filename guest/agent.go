package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/saigen-lab/saigen/lab"
)

// agent answers the host's requests. One agent serves all connections of a machine.
type agent struct {
	kinds    map[string]func() lab.Observer
	log      *slog.Logger
	build    string
	sessions *sessions
	logs     *logTails
	kernel   kernel
	pacer    *pacer
	resumed  atomic.Int64 // how often the machine went on from a copy of its memory
}

func newAgent(kinds []lab.Kind[lab.Observer], log *slog.Logger) *agent {
	a := &agent{kinds: map[string]func() lab.Observer{}, log: log, build: Build(), sessions: newSessions(log), logs: newLogTails(), kernel: newLinux(), pacer: newPacer(processorTime)}
	for _, k := range kinds {
		a.kinds[k.Name] = k.New
	}
	return a
}

// serve speaks with the hosts at the other end of conn, one after another, until it ends. What runs for one of them is
// killed when its session ends. conn is the agent's then.
func (a *agent) serve(ctx context.Context, conn io.ReadWriteCloser) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	l := newLink(conn)
	for met := false; ; met = true {
		host, err := l.hear()
		if err != nil {
			if met && errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("cannot greet host: %w", err)
		}
		if err := a.meet(ctx, l, host); err != nil {
			return err
		}
	}
}

// meet answers a host that has greeted, and serves it until its session has ended.
func (a *agent) meet(ctx context.Context, l *link, host peer) error {
	// Also when the builds differ: the host then can say which is which.
	if err := l.say(a.build, host.nonce); err != nil {
		return fmt.Errorf("cannot greet host: %w", err)
	}
	if err := host.check(a.build); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	mux, err := yamux.Server(&conversation{l: l, end: l.interrupt}, muxConfig())
	if err != nil {
		return err
	}
	defer l.resume()
	defer mux.Close() // returns when nothing reads or writes any more
	for {
		s, err := mux.AcceptStream()
		if errors.Is(err, io.EOF) || errors.Is(err, yamux.ErrSessionShutdown) {
			return nil
		}
		if err != nil {
			return err
		}
		go a.stream(ctx, s)
	}
}

// stream serves one request. Nothing that a host sends, and no fault in a kind, may end the agent.
func (a *agent) stream(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer conn.Close()
	r, w := newFrameReader(conn), newFrameWriter(conn)
	defer func() {
		if p := recover(); p != nil {
			a.log.Error("request panicked", "panic", p, "stack", string(debug.Stack()))
			_ = w.writeJSON(frameError, failure{What: fmt.Sprintf("the agent failed: %v", p)})
		}
	}()
	q, err := r.request()
	if err != nil {
		_ = w.writeJSON(frameError, failureOf(err))
		return
	}
	answer, err := any(nil), error(nil)
	switch {
	case q.Op == opHello:
		answer, err = a.hello()
	case q.Op == opClock:
		answer = clockAnswer{Now: a.kernel.now()}
	case q.Op == opRun && q.Run != nil:
		a.run(ctx, r, w, *q.Run)
		return
	case q.Op == opPut && q.Put != nil:
		err = put(r, *q.Put)
	case q.Op == opAccounts:
		err = a.sessions.add(ctx, q.Accounts)
	case q.Op == opResume && q.Resume != nil:
		err = a.resume(*q.Resume)
		answer = clockAnswer{Now: a.kernel.now()}
	case q.Op == opWatch && q.Watch != nil:
		go func() { defer cancel(); untilEnd(r) }()
		err = a.watch(ctx, w, *q.Watch)
	default:
		err = fmt.Errorf("the agent does not know the request %q", q.Op)
	}
	if err != nil {
		_ = w.writeJSON(frameError, failureOf(err))
		return
	}
	_ = w.writeJSON(frameDone, answer)
}

// untilEnd reads until the host closes the stream.
func untilEnd(r *frameReader) {
	for {
		if _, _, err := r.next(); err != nil {
			return
		}
	}
}

func (a *agent) hello() (helloAnswer, error) {
	boot, err := bootTime()
	return helloAnswer{Version: a.build, Boot: boot}, err
}

// bootTime is when PID 1 was started: of a VM the boot, of a container its start.
func bootTime() (time.Time, error) {
	ticks, err := startTicks(1)
	if err != nil {
		return time.Time{}, err
	}
	up, err := uptime()
	if err != nil {
		return time.Time{}, err
	}
	const hz = 100 // USER_HZ, a constant of the kernel's interface
	return time.Now().Add(time.Duration(ticks)*time.Second/hz - up), nil
}

func startTicks(pid int) (int64, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	f := strings.Fields(rest)
	if len(f) < 20 {
		return 0, fmt.Errorf("cannot read the start time of process %d", pid)
	}
	return strconv.ParseInt(f[19], 10, 64)
}

func uptime() (time.Duration, error) {
	data, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(data), " ")
	return time.ParseDuration(first + "s")
}

// run executes a command: root's here, an account's in its session.
func (a *agent) run(ctx context.Context, r *frameReader, w *frameWriter, q runRequest) {
	if q.Account == "" || q.Account == "root" {
		serveRun(r, w, q, rootEnv(), "/root")
		return
	}
	conn, err := a.sessions.enter(ctx, q.Account)
	if err != nil {
		_ = w.writeJSON(frameError, failureOf(err))
		return
	}
	defer conn.Close()
	relay(r, w, conn, q)
}

// relay passes a command on to a holder and what the holder says back to the host.
func relay(r *frameReader, w *frameWriter, conn net.Conn, q runRequest) {
	to, from := newFrameWriter(conn), newFrameReader(conn)
	if err := to.writeJSON(frameRequest, request{Op: opRun, Run: &q}); err != nil {
		_ = w.writeJSON(frameError, failureOf(sessionEnded(q, err)))
		return
	}
	go func() {
		defer conn.Close() // the holder kills the command
		for {
			kind, payload, err := r.next()
			if err != nil || to.write(kind, payload) != nil {
				return
			}
		}
	}()
	for {
		kind, payload, err := from.next()
		if err != nil {
			_ = w.writeJSON(frameError, failureOf(sessionEnded(q, err)))
			return
		}
		if w.write(kind, payload) != nil || kind == frameDone || kind == frameError {
			return
		}
	}
}

func sessionEnded(q runRequest, err error) error {
	return &lab.InfraError{What: fmt.Sprintf("the session of account %s ended while %q ran in it", q.Account, q.Argv), Err: err}
}

// rootEnv is the environment of root's commands: what a service of the system gets.
func rootEnv() []string {
	return []string{"PATH=" + systemPath, "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "LANG=C.UTF-8"}
}

const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
