package assertions

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/saigen-lab/saigen/lab"
)

const (
	// dnsTry is how long one message is waited for.
	dnsTry = 1500 * time.Millisecond
	// dnsPatience is how long after the start of a look a failed try is repeated: aardvark-dns before 1.11 closes its
	// sockets for a moment at every reload, and a lost datagram deserves one more.
	dnsPatience = 2 * time.Second
	// dnsPause keeps a refused question from being repeated in a busy loop.
	dnsPause = 100 * time.Millisecond
)

// dnsAnswer is what came back for one question.
type dnsAnswer struct {
	addresses []netip.Addr // in the order of the answer
	answers   int          // records in the answer section
	ttl       uint32       // of all records; meaningless when mixedTTL
	mixedTTL  bool
	size      int // bytes on the wire
	rcode     int
	failure   string // why there is no answer; empty: there is one
}

func (a dnsAnswer) rcodeName() string { return dns.RcodeToString[a.rcode] }

// ask asks for the A records of a name. A server that refuses or keeps silent is an answer with a failure in it; an
// error means that the question was not asked, or that ctx ended.
func ask(ctx context.Context, server netip.AddrPort, name string) (dnsAnswer, error) {
	start := time.Now()
	for {
		a, err := exchange(ctx, "udp", server, name)
		if err == nil && a.truncated {
			a, err = exchange(ctx, "tcp", server, name)
		}
		if err == nil {
			return a.dnsAnswer, nil
		}
		if ctx.Err() != nil {
			return dnsAnswer{}, ctx.Err()
		}
		failure := failureClass(err)
		if failure == "" {
			return dnsAnswer{}, err
		}
		if time.Since(start) > dnsPatience {
			return dnsAnswer{failure: failure}, nil
		}
		select {
		case <-ctx.Done():
			return dnsAnswer{}, ctx.Err()
		case <-time.After(dnsPause):
		}
	}
}

type wireAnswer struct {
	dnsAnswer
	truncated bool
}

// exchange sends one message and reads its answer. The socket is made on the calling thread: in a namespace that is
// what counts.
func exchange(ctx context.Context, network string, server netip.AddrPort, name string) (wireAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTry)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, network, server.String())
	if err != nil {
		return wireAnswer{}, err
	}
	conn := &dns.Conn{Conn: raw, UDPSize: 1232}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return wireAnswer{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()

	q := question(name)
	if err := conn.WriteMsg(q); err != nil {
		return wireAnswer{}, err
	}
	for {
		wire, err := conn.ReadMsgHeader(nil)
		if err != nil {
			return wireAnswer{}, err
		}
		var m dns.Msg
		if err := m.Unpack(wire); err != nil {
			return wireAnswer{}, fmt.Errorf("cannot read the answer: %w", err)
		}
		if m.Id == q.Id && m.Response {
			return wireAnswer{summarise(&m, len(wire)), m.Truncated}, nil
		}
	}
}

// question is the message that dig 9.18 sends.
func question(name string) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), dns.TypeA)
	m.AuthenticatedData = true
	cookie := make([]byte, 8)
	_, _ = rand.Read(cookie)
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	opt.SetUDPSize(1232)
	opt.Option = append(opt.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(cookie)})
	m.Extra = append(m.Extra, opt)
	return m
}

func summarise(m *dns.Msg, size int) dnsAnswer {
	a := dnsAnswer{answers: len(m.Answer), size: size, rcode: m.Rcode}
	for i, rr := range m.Answer {
		if i > 0 && rr.Header().Ttl != a.ttl {
			a.mixedTTL = true
		}
		a.ttl = rr.Header().Ttl
		if r, ok := rr.(*dns.A); ok {
			if addr, ok := netip.AddrFromSlice(r.A); ok {
				a.addresses = append(a.addresses, addr.Unmap())
			}
		}
	}
	return a
}

// nameserver reads the first nameserver of a running container's resolv.conf.
func nameserver(c lab.Container) (netip.AddrPort, error) {
	// A Root keeps the container's symbolic links inside the container.
	root, err := os.OpenRoot(fmt.Sprintf("/proc/%d/root", c.PID))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("cannot find the nameserver of container %q: %w", c.Name, err)
	}
	defer root.Close()
	f, err := root.Open("etc/resolv.conf")
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("cannot find the nameserver of container %q: %w", c.Name, err)
	}
	defer f.Close()
	addr, err := firstNameserver(f)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("cannot find the nameserver of container %q: %w", c.Name, err)
	}
	return addr, nil
}

var errNoNameserver = errors.New("its resolv.conf names none")

func firstNameserver(r io.Reader) (netip.AddrPort, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) >= 2 && f[0] == "nameserver" {
			return serverAddress(f[1])
		}
	}
	if err := lines.Err(); err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPort{}, errNoNameserver
}

// serverAddress reads "10.89.0.1" or "10.89.0.1:53".
func serverAddress(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, 53), nil
	}
	return netip.ParseAddrPort(s)
}
