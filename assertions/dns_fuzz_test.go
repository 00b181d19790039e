package assertions

import (
	"testing"

	"github.com/miekg/dns"
)

// FuzzAnswer holds that no message from a server is more than what it says: an answer per record, an address per answer at most.
func FuzzAnswer(f *testing.F) {
	for _, rr := range []string{"app. 86400 IN A 10.89.0.2", "app. 0 IN AAAA ::1", "app. 1 IN CNAME other.", "app. 1 IN TXT \"x\""} {
		r, err := dns.NewRR(rr)
		if err != nil {
			f.Fatal(err)
		}
		m := new(dns.Msg)
		m.SetReply(question("app"))
		m.Answer = []dns.RR{r, r}
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
		f.Add(wire[:len(wire)-3])
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		var m dns.Msg
		if m.Unpack(wire) != nil {
			t.Skip()
		}
		a := summarise(&m, len(wire))
		if a.answers != len(m.Answer) || len(a.addresses) > a.answers || a.size != len(wire) {
			t.Errorf("%q is summarised as %+v", wire, a)
		}
		for _, addr := range a.addresses {
			if !addr.Is4() {
				t.Errorf("%v is no IPv4 address", addr)
			}
		}
	})
}
