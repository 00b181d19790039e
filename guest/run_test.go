package guest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// pair returns a client whose agent runs in this process, with commands run as the current user.
func pair(t *testing.T) *Client {
	t.Helper()
	host, machine := net.Pipe()
	a := newAgent(KindsOfTheTests(), quiet())
	ended := make(chan error, 1)
	go func() { ended <- a.serve(t.Context(), machine) }()
	c, err := Connect(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		if err := <-ended; err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
	})
	return c
}

func sh(script string) lab.Command {
	return lab.Command{Argv: []string{"/bin/sh", "-c", script}, Dir: "/"}
}

func mustRun(t *testing.T, c *Client, cmd lab.Command) lab.Result {
	t.Helper()
	r, err := c.Run(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRunEnds(t *testing.T) {
	c := pair(t)
	for _, test := range []struct {
		script, signal string
		code           int
		out, err       string
	}{
		{script: "true"},
		{script: "exit 7", code: 7},
		{script: "kill -KILL $$", code: 137, signal: "SIGKILL"},
		{script: "kill -TERM $$", code: 143, signal: "SIGTERM"},
		{script: "echo out; echo err >&2; exit 3", code: 3, out: "out\n", err: "err\n"},
		{script: "cat", out: ""},
		{script: "printf '%s' \"$HOME $PWD\"", out: "/root /"},
	} {
		r := mustRun(t, c, sh(test.script))
		if r.Code != test.code || r.Signal != test.signal || string(r.Stdout) != test.out || string(r.Stderr) != test.err {
			t.Errorf("%s: got code %d, signal %q, stdout %q, stderr %q", test.script, r.Code, r.Signal, r.Stdout, r.Stderr)
		}
	}
}

func TestRunCannot(t *testing.T) {
	c := pair(t)
	for _, cmd := range []lab.Command{
		{Argv: []string{"no-such-program"}, Dir: "/"},
		{Argv: []string{"/no/such/program"}, Dir: "/"},
		{Argv: []string{"true"}, Dir: "/no/such/folder"},
		{},
		{Argv: []string{"true"}, Account: "nobody-declared-this"},
	} {
		_, err := c.Run(t.Context(), cmd)
		var infra *lab.InfraError
		if !errors.As(err, &infra) {
			t.Errorf("%q: got %v, want an error of the infrastructure", cmd.Argv, err)
		}
	}
}

func TestRunEnvAndFolder(t *testing.T) {
	dir := t.TempDir()
	prog := filepath.Join(dir, "mine")
	if err := os.WriteFile(prog, []byte("#!/bin/sh\necho mine $SOME in $PWD\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := pair(t)
	r := mustRun(t, c, lab.Command{Argv: []string{"mine"}, Dir: dir, Env: []string{"SOME=thing", "PATH=" + dir + ":/bin"}})
	if got, want := string(r.Stdout), "mine thing in "+dir+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestRunBinary sends 64 MiB through cat: more than any window, so both directions must flow at once.
func TestRunBinary(t *testing.T) {
	c := pair(t)
	const size = 64 << 20
	in, out := sha256.New(), sha256.New()
	var n counter
	r := mustRun(t, c, lab.Command{
		Argv: []string{"cat"}, Dir: "/",
		Stdin:  io.TeeReader(io.LimitReader(noise{}, size), in),
		Stdout: io.MultiWriter(out, &n),
	})
	if r.Code != 0 || int(n) != size || !bytes.Equal(in.Sum(nil), out.Sum(nil)) {
		t.Errorf("code %d, %d bytes came back, same: %v", r.Code, n, bytes.Equal(in.Sum(nil), out.Sum(nil)))
	}
}

func TestRunBigOutputIsKept(t *testing.T) {
	c := pair(t)
	r := mustRun(t, c, sh("head -c 67108864 /dev/zero"))
	if len(r.Stdout) != 64<<20 {
		t.Errorf("got %d bytes", len(r.Stdout))
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// noise is all byte values in a pattern that does not repeat with any buffer's size.
type noise struct{}

func (noise) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i * 7919 >> 3)
	}
	return len(p), nil
}

// TestStdinNotRead: a command that does not read must still be heard ending, and one that is killed too.
func TestStdinNotRead(t *testing.T) {
	c := pair(t)
	if r := mustRun(t, c, lab.Command{Argv: []string{"sh", "-c", "exit 4"}, Dir: "/", Stdin: noise{}}); r.Code != 4 {
		t.Errorf("got code %d", r.Code)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := lab.Command{Argv: []string{"sh", "-c", "echo up; sleep 1000"}, Dir: "/", Stdin: noise{}, Stdout: onWrite(cancel)}
	if _, err := c.Run(ctx, cmd); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

type onWrite func()

func (f onWrite) Write(p []byte) (int, error) { f(); return len(p), nil }

// TestLeftBehind: the end of a command is its end, also when something that it started holds its streams.
func TestLeftBehind(t *testing.T) {
	c := pair(t)
	began := time.Now()
	r := mustRun(t, c, sh("sleep 1000 & echo $!"))
	pid := pidOf(t, r.Stdout)
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	if took := time.Since(began); took > 500*time.Second {
		t.Errorf("took %v", took)
	}
	if !alive(pid) {
		t.Error("what the command left running was killed")
	}
}

// TestCancelKillsAll: the child, a child in a process group of its own, and one whose parent has gone.
func TestCancelKillsAll(t *testing.T) {
	c := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	cmd := lab.Command{
		Argv: []string{"bash", "-mc", "sleep 1001 & echo $!; (sleep 1002 & echo $!); setsid sleep 1003 & echo $!; echo $$; wait"},
		Dir:  "/",
		Stdout: writerFunc(func(p []byte) (int, error) {
			n, err := out.Write(p)
			if bytes.Count(out.Bytes(), []byte("\n")) == 4 {
				cancel()
			}
			return n, err
		}),
	}
	if _, err := c.Run(ctx, cmd); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	for _, line := range strings.Fields(out.String()) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		if alive(pid) {
			t.Errorf("process %d lives", pid)
		}
	}
}

func TestLostConnectionKills(t *testing.T) {
	c := pair(t)
	var pid int
	up := make(chan struct{})
	result := make(chan error, 1)
	go func() {
		cmd := sh("echo $$; exec sleep 1000")
		cmd.Stdout = writerFunc(func(p []byte) (int, error) {
			pid = pidOf(t, p)
			close(up)
			return len(p), nil
		})
		_, err := c.Run(context.WithoutCancel(t.Context()), cmd)
		result <- err
	}()
	<-up
	_ = c.Close()
	var infra *lab.InfraError
	if err := <-result; !errors.As(err, &infra) {
		t.Errorf("got %v, want an error of the infrastructure", err)
	}
	if err := waitFor(t.Context(), pollEvery, func() bool { return !alive(pid) }); err != nil {
		t.Errorf("process %d lives: %v", pid, err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func pidOf(t *testing.T, p []byte) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(string(p)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func alive(pid int) bool {
	s, ok := readStat(pid)
	return ok && s.state != 'Z' && s.state != 'X'
}

// TestSlowWriter: a host that does not take the output stops the command, not the other streams.
func TestSlowWriter(t *testing.T) {
	c := pair(t)
	block, full := make(chan struct{}), make(chan struct{}, 1)
	ended := make(chan error, 1)
	var n counter
	go func() {
		cmd := sh("head -c 8388608 /dev/zero")
		cmd.Stdout = writerFunc(func(p []byte) (int, error) {
			select {
			case full <- struct{}{}:
			default:
			}
			<-block
			return n.Write(p)
		})
		_, err := c.Run(t.Context(), cmd)
		ended <- err
	}()
	<-full
	for range 20 {
		mustRun(t, c, sh("true"))
	}
	select {
	case err := <-ended:
		t.Fatalf("the command ended while nobody took its output: %v", err)
	default:
	}
	close(block)
	if err := <-ended; err != nil || n != 8<<20 {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	c := pair(t)
	errs := make(chan error)
	for i := range 40 {
		go func() {
			want := strconv.Itoa(i)
			r, err := c.Run(t.Context(), lab.Command{Argv: []string{"cat"}, Dir: "/", Stdin: strings.NewReader(want)})
			if err == nil && string(r.Stdout) != want {
				err = errors.New("got " + string(r.Stdout) + " for " + want)
			}
			errs <- err
		}()
	}
	for range 40 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestTTY(t *testing.T) {
	c := pair(t)
	resize := make(chan [2]uint16, 1)
	in, keyboard := io.Pipe()
	var screen bytes.Buffer
	asked := false
	r, err := c.Run(t.Context(), lab.Command{
		Argv: []string{"bash", "-c", "trap 'stty size; exit 5' WINCH; echo $TERM; stty size; echo ready; read -r x; echo got $x; sleep 1000 & wait"},
		Dir:  "/", Stdin: in,
		TTY: &lab.TTY{Term: "xterm", Rows: 24, Cols: 80, Resize: resize},
		Stdout: writerFunc(func(p []byte) (int, error) {
			n, err := screen.Write(p)
			if !asked && strings.Contains(screen.String(), "ready") {
				asked = true
				go func() {
					_, _ = io.WriteString(keyboard, "hello\n")
				}()
			}
			if strings.Contains(screen.String(), "got hello") && resize != nil {
				resize <- [2]uint16{50, 132}
				resize = nil
			}
			if strings.Contains(screen.String(), "50 132") {
				_ = keyboard.Close()
			}
			return n, err
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"xterm\r\n24 80\r\n", "got hello\r\n", "50 132\r\n"} {
		if !strings.Contains(screen.String(), want) {
			t.Errorf("the screen lacks %q: %q", want, screen.String())
		}
	}
	if r.Code != 5 {
		t.Errorf("got code %d", r.Code)
	}
}
