package guest

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// The test itself holds a port; it is no container's.
func TestListeners(t *testing.T) {
	p := &place{}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for protocol, addr := range map[string]net.Addr{"tcp": tcp.Addr(), "udp": udp.LocalAddr()} {
		at := netip.MustParseAddrPort(addr.String())
		got, err := p.Listeners(t.Context(), protocol, at.Port())
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Address != at || got[0].Container != nil ||
			!slices.ContainsFunc(got[0].Processes, func(q lab.Process) bool { return q.PID == os.Getpid() }) {
			t.Errorf("%s: %+v", protocol, got)
		}
	}
	// Who is connected does not wait.
	port := netip.MustParseAddrPort(tcp.Addr().String()).Port()
	conn, err := net.Dial("tcp4", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = tcp.Close()
	if got, err := p.Listeners(t.Context(), "tcp", port); err != nil || len(got) != 0 {
		t.Errorf("after the end: %+v, %v", got, err)
	}
}

func TestRunningContainers(t *testing.T) {
	all := []lab.Process{
		{PID: 5, PPID: 1, Name: "conmon", Account: "bob", Cmdline: []string{"/usr/bin/conmon", "-c", "a1", "-u", "a1", "-n", "app", "--exit-command-arg", "-c"}},
		{PID: 6, PPID: 5, Name: "app", Account: "bob"},
		{PID: 7, PPID: 5, Name: "podman", Account: "bob"},
		{PID: 8, PPID: 1, Name: "conmon", Account: "bob", Cmdline: []string{"/usr/bin/conmon", "-c", "p1", "-n", "proxy"}}, // its container has ended
		{PID: 9, PPID: 1, Name: "conmon", Account: "bob"},
	}
	got := runningContainers(all)
	want := aContainer{id: "a1", name: "app", account: "bob", conmon: 5, pid: 6}
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestStatePIDs(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"crun/a1/status": `{"pid": 41, "cgroup-path": ""}`, "runc/b1/state.json": `{"id": "b1", "init_process_pid": 42}`, "crun/c1/status": "{",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string][]int{"a1": {41}, "b1": {42}, "c1": nil, "gone": nil} {
		if got := statePIDs([]string{filepath.Join(dir, "none"), dir}, id); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
}
