package qemu

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeQEMU answers each command with the next of the answers, and returns what it was asked.
func fakeQEMU(t *testing.T, answers ...string) (*net.UnixConn, <-chan string) {
	t.Helper()
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, len(answers)+1)
	conn, err := net.FileConn(theirs)
	if err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		defer close(asked)
		defer conn.Close()
		in := bufio.NewScanner(conn)
		_, _ = io.WriteString(conn, `{"QMP": {"version": {}, "capabilities": []}}`+"\r\n")
		for _, a := range answers {
			if !in.Scan() {
				return
			}
			asked <- in.Text()
			if a == silence {
				in.Scan()
				return
			}
			_, _ = io.WriteString(conn, a)
		}
	}()
	return ours, asked
}

// silence is no answer, for as long as anybody waits.
const silence = "silence"

const done = `{"return": {}}` + "\r\n"

func TestMonitor(t *testing.T) {
	conn, asked := fakeQEMU(t, done,
		`{"event": "STOP", "timestamp": {}}`+"\r\n"+done,
		`{"return": {"status": "active"}}`+"\r\n",
		`{"return": {"status": "completed"}}`+"\r\n",
		`{"return": {"status": "failed", "error-desc": "no room"}}`+"\r\n",
		`{"error": {"class": "GenericError", "desc": "it is no good"}}`+"\r\n")
	m, err := newMonitor(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.ignoreShared(t.Context()); err != nil {
		t.Error(err)
	}
	if err := m.migrated(t.Context()); err != nil {
		t.Error(err)
	}
	if err := m.migrated(t.Context()); err == nil || !strings.Contains(err.Error(), "failed: no room") {
		t.Errorf("a migration that failed: %v", err)
	}
	if err := m.do(t.Context(), "cont", nil, nil); err == nil || err.Error() != "QEMU's cont: it is no good" {
		t.Errorf("a command that failed: %v", err)
	}
	if err := m.do(t.Context(), "cont", nil, nil); !errors.Is(err, errGone) && !errors.Is(err, unix.EPIPE) {
		t.Errorf("a QEMU that has ended: %v", err)
	}
	want := []string{
		`{"execute":"qmp_capabilities"}`,
		`{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"x-ignore-shared","state":true}]}}`,
		`{"execute":"query-migrate"}`, `{"execute":"query-migrate"}`, `{"execute":"query-migrate"}`, `{"execute":"cont"}`,
	}
	for _, w := range want {
		if got := <-asked; got != w {
			t.Errorf("asked %s, not %s", got, w)
		}
	}
}

func TestMonitorOfSomethingElse(t *testing.T) {
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	_, _ = theirs.WriteString("{\"return\": {}}\n")
	if _, err := newMonitor(t.Context(), ours); err == nil {
		t.Error("what is no QEMU was taken for one")
	}
}

// A QEMU that does not answer keeps nobody waiting.
func TestMonitorGivenUp(t *testing.T) {
	conn, _ := fakeQEMU(t, done, silence)
	m, err := newMonitor(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	limited, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := m.do(limited, "stop", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

// A file goes through the monitor as a descriptor.
func TestGetFD(t *testing.T) {
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, _ = theirs.WriteString("{\"QMP\": {}}\n" + done + done)
	m, err := newMonitor(t.Context(), ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.getFD(t.Context(), "state", file); err != nil {
		t.Fatal(err)
	}
	var said, rights [4096]byte
	var got []byte
	for len(got) == 0 {
		_, n, _, _, err := unix.Recvmsg(int(theirs.Fd()), said[:], rights[:], 0)
		if err != nil {
			t.Fatal(err)
		}
		got = rights[:n]
	}
	messages, err := unix.ParseSocketControlMessage(got)
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("%d files came, %v", len(fds), err)
	}
	came := os.NewFile(uintptr(fds[0]), "")
	defer came.Close()
	a, _ := came.Stat()
	b, _ := file.Stat()
	if !os.SameFile(a, b) {
		t.Error("another file came")
	}
}
