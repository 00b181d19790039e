package guest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

func TestHello(t *testing.T) {
	c := pair(t)
	i, err := c.Hello(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if i.Version != Build() || time.Since(i.Boot) < 0 {
		t.Errorf("got %+v", i)
	}
	if off, within, err := c.MeasureClock(t.Context()); err != nil || off.Abs() > within+time.Second {
		t.Errorf("the clock is %v off, to within %v: %v", off, within, err)
	}
}

// TestMalformed: every one of these streams is refused with an error that says why, and the agent answers on.
func TestMalformed(t *testing.T) {
	c := pair(t)
	for _, test := range []struct{ in, want string }{
		{"o\x00\x00\x00\x00", "instead of a request"},
		{"q\x00\x00\x00\x03{]}", "cannot read request"},
		{"q\xff\xff\xff\xff", "larger than 1 MiB"},
		{"q\x00\x00\x00\x02{}", `does not know the request ""`},
		{"q\x00\x00\x00\x0c{\"op\":\"run\"}", `does not know the request "run"`},
		{"q\x00\x00\x00\x0e{\"op\":\"dance\"}", `does not know the request "dance"`},
	} {
		conn, err := c.mux.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, test.in); err != nil {
			t.Fatal(err)
		}
		s := newStream(t.Context(), conn)
		if _, _, err := s.next(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %v, want %q in it", test.in, err, test.want)
		}
		s.close()
	}
	for _, cut := range []string{"", "q", "q\x00\x00\x00\x09{"} {
		conn, err := c.mux.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, cut)
		_ = conn.Close()
	}
	if _, err := c.Hello(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOtherBuild(t *testing.T) {
	host, machine := net.Pipe()
	a := newAgent(nil, quiet())
	a.build = "another"
	ended := make(chan error, 1)
	go func() { ended <- a.serve(t.Context(), machine) }()
	_, err := Connect(t.Context(), host)
	if !errors.Is(err, errOtherBuild) || !strings.Contains(err.Error(), Build()) || !strings.Contains(err.Error(), "another") {
		t.Errorf("got %v", err)
	}
	if err := <-ended; !errors.Is(err, errOtherBuild) {
		t.Errorf("the agent took a host of another build: %v", err)
	}
}

func TestNotSaigen(t *testing.T) {
	for _, peer := range []string{"SSH-2.0-OpenSSH_9.2\r\n", strings.Repeat("x", 1000)} {
		host, machine := net.Pipe()
		go func() {
			_, _ = machine.Read(make([]byte, maxGreeting))
			_, _ = io.WriteString(machine, peer)
			_ = machine.Close()
		}()
		if _, err := Connect(t.Context(), host); err == nil || !strings.Contains(err.Error(), "does not speak saigen's protocol") {
			t.Errorf("%.20q: got %v", peer, err)
		}
	}
}

// TestReconnect: over a real socket whose path no socket address can hold; several hosts at once, and one after another.
func TestReconnect(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "agent.sock")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dialled := make(chan *Client)
	go func() { // before the agent is there
		c, err := Dial(ctx, socket)
		if err != nil {
			t.Error(err)
		}
		dialled <- c
	}()
	ended := make(chan error, 1)
	go func() { ended <- serveAgent(ctx, socket, newAgent(nil, quiet())) }()
	first := <-dialled
	second, err := Dial(ctx, socket)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, c := range []*Client{first, second} {
			if r := mustRun(t, c, sh("exit 3")); r.Code != 3 {
				t.Errorf("got %+v", r)
			}
		}
		_ = first.Close()
		if first, err = Dial(ctx, socket); err != nil {
			t.Fatal(err)
		}
	}
	if fi, err := os.Stat(socket); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v", fi.Mode(), err)
	}
	_ = first.Close()
	_ = second.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestDialGivesUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := Dial(ctx, filepath.Join(t.TempDir(), "nobody"))
	var infra *lab.InfraError
	if !errors.As(err, &infra) || !errors.Is(err, context.DeadlineExceeded) || infra.Hint == "" {
		t.Errorf("got %v", err)
	}
}

func TestPut(t *testing.T) {
	c := pair(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "new/folder/file")
	big := strings.Repeat("0123456789abcdef", 200_000)
	for _, data := range []string{"old", "", big} {
		if err := c.Put(t.Context(), lab.File{Path: path, Data: []byte(data), Mode: 0o755}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != data {
			t.Errorf("got %d bytes, want %d, %v", len(got), len(data), err)
		}
	}
	if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o755 {
		t.Errorf("got mode %v", fi.Mode())
	}
	for _, f := range []lab.File{
		{Path: "relative", Data: []byte(big)},
		{Path: filepath.Join(path, "below-a-file"), Data: []byte(big)},
		{Path: filepath.Join(dir, "x"), Owner: "no-such-account", Data: []byte(big)},
		{Path: filepath.Join(dir, "new"), Data: []byte(big)}, // a folder
	} {
		err := c.Put(t.Context(), f)
		if err == nil || !strings.Contains(err.Error(), "cannot write "+f.Path) {
			t.Errorf("%s: got %v", f.Path, err)
		}
	}
	for _, d := range []string{dir, filepath.Dir(path)} {
		entries, _ := os.ReadDir(d)
		if len(entries) != 1 {
			t.Errorf("%s holds %v", d, entries)
		}
	}
}

// TestPutHalf: a host that goes away in the middle leaves the old file.
func TestPutHalf(t *testing.T) {
	c := pair(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := c.open(t.Context(), request{Op: opPut, Put: &putRequest{Path: path, Mode: 0o600}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.w.write(frameData, []byte("half")); err != nil {
		t.Fatal(err)
	}
	two := func(n int) func() bool {
		return func() bool { entries, _ := os.ReadDir(dir); return len(entries) == n }
	}
	if err := waitFor(t.Context(), pollEvery, two(2)); err != nil {
		t.Fatal(err)
	}
	s.close()
	if err := waitFor(t.Context(), pollEvery, two(1)); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("got %q", got)
	}
}

func TestFailureTravels(t *testing.T) {
	in := &lab.InfraError{What: "cannot open", Hint: "try", Tail: "lines", Err: errors.New("why")}
	data, err := json.Marshal(failureOf(in))
	if err != nil {
		t.Fatal(err)
	}
	var f failure
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	var out *lab.InfraError
	if !errors.As(f.error(), &out) || out.What != in.What || out.Hint != in.Hint || out.Tail != in.Tail || out.Error() != in.Error() {
		t.Errorf("got %+v", out)
	}
}
