package assertions

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

// aardvark serves what aardvark-dns 1.4.0 does: the addresses as given, TTL 86400, the cookie echoed.
func aardvark(t *testing.T, addresses ...string) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.Compress = true
		m.RecursionAvailable, m.AuthenticatedData = true, true
		if q.Question[0].Name != "app." {
			m.Rcode = dns.RcodeNameError
			addresses = nil
		}
		for _, a := range addresses {
			m.Answer = append(m.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: "app.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 86400}, A: net.ParseIP(a),
			})
		}
		m.Extra = append(m.Extra, q.IsEdns0())
		_ = w.WriteMsg(m)
	})}
	started := make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	ended := make(chan error, 1)
	go func() { ended <- s.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = s.Shutdown(); <-ended }) //nolint:errcheck // how the server ended does not matter
	return conn.LocalAddr().String()
}

func twice(addresses ...string) []string {
	var out []string
	for _, a := range addresses {
		out = append(out, a, a)
	}
	return out
}

func TestDNSAnswers(t *testing.T) {
	live, dead := "10.89.0.11", []string{"10.89.0.8", "10.89.0.9", "10.89.0.10"}
	incident := DNSAnswers{Over: p(2), DeadOver: p(0), TTL: p(86400), Size: p(172), Twice: true}
	for _, c := range []struct {
		name    string
		kind    DNSAnswers
		served  []string
		asked   string
		summary string
		holds   bool
	}{
		{"the incident", incident, twice(append(dead, live)...), "app", "8 answers, 4 addresses, 3 dead, TTL 86400, 172 bytes", true},
		{"six answers", DNSAnswers{Size: p(140)}, twice(dead...), "app", "6 answers, 3 addresses, 3 dead, TTL 86400, 140 bytes", true},
		{"healthy", incident, twice(live), "app", "2 answers, 1 address, 0 dead, TTL 86400, 76 bytes", false},
		{"healthy, size alone", DNSAnswers{Size: p(76)}, twice(live), "app", "2 answers, 1 address, 0 dead, TTL 86400, 76 bytes", true},
		{"not twice", DNSAnswers{Twice: true}, []string{live, live, dead[0]}, "app", "3 answers, 2 addresses, 1 dead, TTL 86400, 92 bytes", false},
		{"over is more than", DNSAnswers{Over: p(2)}, twice(live), "app", "2 answers, 1 address, 0 dead, TTL 86400, 76 bytes", false},
		{"dead is more than", DNSAnswers{DeadOver: p(3)}, twice(append(dead, live)...), "app", "8 answers, 4 addresses, 3 dead, TTL 86400, 172 bytes", false},
		{"no such name", DNSAnswers{TTL: p(86400)}, nil, "db", "0 answers, 0 addresses, 0 dead, NXDOMAIN, 43 bytes", false},
		{"no answers are not twice", DNSAnswers{Twice: true}, nil, "app", "0 answers, 0 addresses, 0 dead, 44 bytes", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := c.kind
			k.Stack, k.From, k.Name, k.Server = "stack.alice", "proxy", c.asked, aardvark(t, c.served...)
			o := look(t, &k, stale(nil))
			if o.Summary != c.summary {
				t.Errorf("got  %q\nwant %q", o.Summary, c.summary)
			}
			if got := k.Holds([]lab.Observation{o}); got != c.holds {
				t.Errorf("holds %v", got)
			}
		})
	}
}

func TestDNSLines(t *testing.T) {
	k := &DNSAnswers{Stack: "stack.alice", From: "proxy", Name: "app", Server: aardvark(t, twice("10.89.0.8", "10.89.0.11")...)}
	o := look(t, k, stale(nil))
	if got := strings.Join(o.Lines, ", "); got != "10.89.0.8 ×2 dead, 10.89.0.11 ×2" {
		t.Error(got)
	}
}

// A server that is not there is an observation; a container that is not there is none.
func TestDNSNobodyThere(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := conn.LocalAddr().String()
	conn.Close()
	k := &DNSAnswers{Stack: "stack.alice", From: "proxy", Name: "app", Server: closed, Over: p(0)}
	o := look(t, k, stale(nil))
	if o.Values["answers"] != 0 || o.Summary != "no answer: connection refused" || k.Holds([]lab.Observation{o}) {
		t.Errorf("%+v", o)
	}
	w := stale(nil)
	w.SetContainers("alice", lab.Container{Name: "proxy"})
	cannotLook(t, k, w, "it does not run")
	cannotLook(t, k, ending{stale(nil)}, "it ended meanwhile")
}

// ending is a world in which alice's containers end after the first question.
type ending struct{ *labtest.World }

func (w ending) Within(c lab.Container, f func() error) error {
	defer w.SetContainers("alice", lab.Container{ID: c.ID, Name: c.Name})
	return w.World.Within(c, f)
}

// aardvark-dns 1.4.0 closes its sockets for a moment at every reload: the look outlasts it.
func TestDNSRetries(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	go func() {
		buf := make([]byte, 1232)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var q dns.Msg
			if asked.Add(1) == 1 || q.Unpack(buf[:n]) != nil {
				continue // lost
			}
			m := new(dns.Msg)
			m.SetReply(&q)
			wire, _ := m.Pack()
			_, _ = conn.WriteTo(wire, from)
		}
	}()
	defer conn.Close()
	k := &DNSAnswers{Stack: "stack.alice", From: "proxy", Name: "app", Server: conn.LocalAddr().String()}
	if o := look(t, k, stale(nil)); asked.Load() != 2 || !strings.HasPrefix(o.Summary, "0 answers") {
		t.Errorf("asked %d times: %+v", asked.Load(), o)
	}
}

// A server that keeps silent is not one that refuses.
func TestDNSSilent(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	k := &DNSAnswers{Stack: "stack.alice", From: "proxy", Name: "app", Server: conn.LocalAddr().String(), Silent: true}
	if o := look(t, k, stale(nil)); !k.Holds([]lab.Observation{o}) || o.Summary != "no answer: no answer in time" {
		t.Errorf("%+v", o)
	}
	refused := dnsAnswer{failure: "connection refused"}.observation(nil)
	answered := dnsAnswer{answers: 2}.observation(nil)
	for _, o := range []lab.Observation{refused, answered} {
		if k.Holds([]lab.Observation{o}) {
			t.Errorf("silent: %s", o.Summary)
		}
	}
}

func TestDNSSilenceCheck(t *testing.T) {
	for attr, k := range map[string]*DNSAnswers{
		"":         {Silent: true, Silence: "at least 15s"},
		"silent":   {Silent: true, Over: p(0)},
		"silence":  {Silence: "at least 0s"},
		"silence ": {Silence: "over 15"},
	} {
		var got []string
		for _, problem := range k.Check() {
			got = append(got, problem.Attr)
		}
		if strings.Join(got, " ") != strings.TrimSpace(attr) {
			t.Errorf("%+v: %q", k, got)
		}
	}
}

func TestDNSSilence(t *testing.T) {
	start := time.Date(2023, 7, 1, 12, 0, 0, 0, time.UTC)
	answered, refused, silent := dnsAnswer{answers: 2}, dnsAnswer{failure: "connection refused"}, dnsAnswer{failure: timedOut}
	k := &DNSAnswers{Silence: "15s to 60s"}
	for _, c := range []struct {
		name  string
		looks []dnsAnswer // 5 s apart; each takes 1 s
		want  float64
		holds bool
	}{
		{"none", []dnsAnswer{answered, answered}, 0, false},
		{"short", []dnsAnswer{silent, answered}, 6, false},
		{"long", []dnsAnswer{answered, silent, silent, silent, answered, answered}, 16, true},
		{"not ended", []dnsAnswer{silent, silent, silent, silent, silent}, 0, false},
		{"ended by an answer, not by a refusal", []dnsAnswer{silent, refused, refused, answered}, 16, true},
		{"refusals only", []dnsAnswer{refused, refused, refused, refused, answered}, 0, false},
		{"the longest", []dnsAnswer{silent, silent, silent, answered, silent, answered}, 16, true},
	} {
		var history []lab.Observation
		for i, a := range c.looks {
			o := a.observation(nil)
			o.At, o.Took = start.Add(time.Duration(i)*5*time.Second), time.Second
			history = append(history, o)
		}
		if got := k.Measure(history)["silence"]; got != c.want || k.Holds(history) != c.holds {
			t.Errorf("%s: %g s, holds %v", c.name, got, k.Holds(history))
		}
	}
}

func TestFirstNameserver(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"search dns.podman\nnameserver 10.89.0.1\nnameserver 10.89.0.2\n", "10.89.0.1:53"},
		{"# nothing\nnameserver fd00::1", "[fd00::1]:53"},
		{"options edns0\n", "invalid AddrPort its resolv.conf names none"},
	} {
		got, err := firstNameserver(strings.NewReader(c.text))
		s := got.String()
		if err != nil {
			s = fmt.Sprint(netip.AddrPort{}, " ", err)
		}
		if s != c.want {
			t.Errorf("%q: %q, want %q", c.text, s, c.want)
		}
	}
}
