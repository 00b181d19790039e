package assertions

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

func TestPort(t *testing.T) {
	const session, own = "/user.slice/user-0.slice/session-3.scope", "/user.slice/user-1001.slice/session-9.scope"
	holds := func(name, account, cgroup string, c *lab.ServedContainer) lab.Listener {
		return lab.Listener{Address: netip.MustParseAddrPort("[::]:3001"), Container: c,
			Processes: []lab.Process{{PID: 7, Name: name, Account: account, Cgroup: cgroup}}}
	}
	w := labtest.NewWorld(nil)
	w.SetListeners("tcp", 3001, holds("rootlessport", "bob", session, &lab.ServedContainer{ID: "a1", Name: "app", Account: "bob", Orphan: true}))
	w.SetListeners("tcp", 4431, holds("rootlessport", "bob", own, &lab.ServedContainer{ID: "p1", Name: "proxy", Account: "bob"}))
	w.SetListeners("tcp", 22, holds("sshd", "root", "/system.slice/ssh.service", nil), holds("rootlessport", "bob", own, &lab.ServedContainer{Name: "ssh"}))
	w.SetListeners("udp", 53, lab.Listener{Address: netip.MustParseAddrPort("10.0.0.1:53")})
	for _, c := range []struct {
		kind  Port
		holds bool
	}{
		{Port{Port: 3001, Holder: HolderAnybody}, true},
		{Port{Port: 3001, Holder: HolderNobody}, false},
		{Port{Port: 3001, Holder: HolderOrphan}, true},
		{Port{Port: 3001, Holder: HolderContainer}, false},
		{Port{Port: 3001, Holder: HolderProcess}, false},
		{Port{Port: 3001, Holder: HolderOrphan, Container: "app", Account: "bob", Name: "rootlessport", Cgroup: "^/user\\.slice/user-0\\."}, true},
		{Port{Port: 3001, Holder: HolderOrphan, Container: "proxy"}, false},
		{Port{Port: 3001, Holder: HolderOrphan, Account: "carol"}, false},
		{Port{Port: 3001, Holder: HolderOrphan, Cgroup: "user-1001"}, false},
		{Port{Port: 3001, Holder: HolderAnybody, Name: "nginx"}, false},
		{Port{Port: 4431, Holder: HolderContainer, Container: "proxy"}, true},
		{Port{Port: 4431, Holder: HolderOrphan}, false},
		{Port{Port: 22, Holder: HolderProcess, Name: "sshd"}, true},
		{Port{Port: 22, Holder: HolderContainer, Name: "sshd"}, false}, // of two holders, neither is both
		{Port{Port: 53, Protocol: "udp", Holder: HolderProcess, Account: "root"}, true},
		{Port{Port: 53, Protocol: "udp", Holder: HolderNobody}, false},
		{Port{Port: 3002, Holder: HolderNobody}, true},
		{Port{Port: 3002, Holder: HolderAnybody}, false},
		{Port{Port: 3002, Holder: HolderOrphan}, false},
	} {
		if c.kind.Protocol == "" {
			c.kind.Protocol = "tcp"
		}
		o := look(t, &c.kind, w)
		if c.kind.Holds([]lab.Observation{o}) != c.holds {
			t.Errorf("%+v: %v, holds %v", c.kind, o.Values, !c.holds)
		}
	}
	o := look(t, &Port{Port: 3001, Protocol: "tcp", Holder: HolderOrphan}, w)
	if want := "[::]:3001 7 rootlessport of bob in " + session + ": orphan of container app of bob"; o.Lines[0] != want || o.Values["orphans"] != 1 {
		t.Errorf("got %q, %v", o.Lines, o.Values)
	}
	w.Lose()
	cannotLook(t, &Port{Port: 3001, Protocol: "tcp", Holder: HolderNobody}, w, "the machine was lost")
}

func TestPortCheck(t *testing.T) {
	good := func() *Port { return &Port{Port: 3001, Protocol: "tcp", Holder: HolderAnybody} }
	for _, c := range []struct {
		set  func(p *Port)
		want string
	}{
		{func(*Port) {}, ""},
		{func(p *Port) { p.Port = 0 }, "port: no such port"},
		{func(p *Port) { p.Port = 65536 }, "port: no such port"},
		{func(p *Port) { p.Protocol = "sctp" }, "protocol: no such protocol"},
		{func(p *Port) { p.Holder = "somebody" }, "holder: no such holder"},
		{func(p *Port) { p.Holder = HolderNobody }, ""},
		{func(p *Port) { p.Holder, p.Name = HolderNobody, "nginx" }, "holder: nobody with a name"},
		{func(p *Port) { p.Container = "app" }, "container: container without a state"},
		{func(p *Port) { p.Holder, p.Container = HolderOrphan, "app" }, ""},
		{func(p *Port) { p.Name = "rootlessport-child" }, "name: longer than any process name"},
	} {
		p := good()
		c.set(p)
		var got []string
		for _, x := range p.Check() {
			got = append(got, x.Attr+": "+x.Summary)
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%+v: %q, want %q", p, got, c.want)
		}
	}
}
