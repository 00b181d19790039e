package labtest

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// Every Debian has perl-base, and no other program that can listen.
const (
	listens  = `$s = IO::Socket::INET->new(Listen => 5, LocalPort => $ARGV[0], ReuseAddr => 1) or die "listen: $@"; $| = 1; print "up\n"; while ($c = $s->accept) { print $c "$ARGV[1]\n"; close $c }`
	connects = `$c = IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 10) or die "connect: $@"; print <$c>`
)

func perl(script string, args ...string) lab.Command {
	return lab.Command{Argv: append([]string{"perl", "-MIO::Socket::INET", "-e", script}, args...)}
}

// network: the machines of a lab reach each other by name.
func testNetwork(t *testing.T, machines []lab.Running) {
	const port = "7411"
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	var servers sync.WaitGroup
	defer servers.Wait()
	defer cancel()
	for _, m := range machines {
		up, ended := make(chan struct{}), make(chan error, 1)
		servers.Go(func() {
			cmd := perl(listens, port, "this is "+string(m.Ref()))
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &watcher{want: "up", then: func() { close(up) }}, &said
			_, err := m.Run(ctx, cmd)
			ended <- fmt.Errorf("%w: %s", err, said.String())
		})
		select {
		case <-up:
		case err := <-ended:
			t.Fatalf("%s cannot listen: %v", m.Ref(), err)
		}
	}
	for _, from := range machines {
		for _, to := range machines {
			name := strings.TrimPrefix(string(to.Ref()), "machine.")
			r, err := from.Run(ctx, perl(connects, name, port))
			if want := "this is " + string(to.Ref()) + "\n"; err != nil || string(r.Stdout) != want {
				t.Errorf("from %s to %s: got %q, not %q: %s %v", from.Ref(), name, r.Stdout, want, r.Stderr, err)
			}
		}
	}
}

// testNoWayOut: a machine reaches nothing of the host, by none of the addresses that the host has, for itself or for
// the machine.
func testNoWayOut(t *testing.T, m lab.Running) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var reached atomic.Int64
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			reached.Add(1)
			_ = conn.Close()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	addresses := []string{"10.0.2.2"} // the host, of QEMU's user network
	ifaces, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range ifaces {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			addresses = append(addresses, ip.IP.String())
		}
	}
	s := &suite{m: m}
	addresses = append(addresses, gateways(t, string(s.run(t, lab.Command{Argv: []string{"cat", "/proc/net/route"}}).Stdout))...)
	for _, a := range addresses {
		if r := s.run(t, perl(connects, a, port)); r.Code == 0 {
			t.Errorf("%s can connect to %s of the host", m.Ref(), a)
		}
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("%d connections came out of %s", n, m.Ref())
	}
	// The same command must be able to connect, or the above says nothing.
	if r := s.run(t, perl(connects, "127.0.0.1", "1")); !strings.Contains(string(r.Stderr), "refused") {
		t.Errorf("%s has no loopback: %s", m.Ref(), r.Stderr)
	}
}

// gateways are the addresses in /proc/net/route that traffic is sent to.
func gateways(t *testing.T, table string) []string {
	t.Helper()
	var out []string
	for _, line := range strings.Split(table, "\n")[1:] {
		f := strings.Fields(line)
		if len(f) < 3 || f[2] == "00000000" {
			continue
		}
		b, err := hex.DecodeString(f[2]) // little-endian
		if err != nil || len(b) != 4 {
			t.Fatalf("cannot read the route %q: %v", line, err)
		}
		out = append(out, net.IPv4(b[3], b[2], b[1], b[0]).String())
	}
	return out
}
