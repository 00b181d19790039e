package assertions

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// DNSAnswers asks for the A records of a name, from inside the network namespace of a service's container, and
// compares what comes back. The message is the one that bookworm's dig sends (EDNS0, an 8 byte cookie, 1232 bytes of
// UDP), so that sizes are those that dig prints.
//
// All settings that are given must hold together, on the newest look; silence looks at all. A server that refuses or does not
// answer gives 0 answers; a container that does not run cannot be asked from, and such a look counts neither way. One look asks
// for 2 s until it is answered, so that a lost datagram, or a server that loads its file, is no silence.
//
// Values: answers, addresses, dead, not_twice, silent (1 or 0), ttl (seconds), size (bytes), rcode; and silence (seconds), the longest of a
// phase that has ended.
type DNSAnswers struct {
	// The stack of the service that asks.
	Stack lab.StackRef `hcl:"stack" json:"stack"`
	// The service that asks: the question leaves from its container's network namespace.
	From lab.ServiceName `hcl:"from" json:"from"`
	// The name to ask for, as that container would write it: a service, a container or a full name.
	Name string `hcl:"name" json:"name"`
	// The server to ask, as address or address:port. Default: the first nameserver of the container's /etc/resolv.conf.
	Server string `hcl:"server,optional" json:"server,omitempty"`
	// Holds when there are more answers than this. Repeated addresses count each time.
	Over *int `hcl:"over,optional" json:"over,omitempty"`
	// Holds when more addresses than this belong to no running container of the stack's account.
	DeadOver *int `hcl:"dead_over,optional" json:"dead_over,omitempty"`
	// Holds when every answer has exactly this time to live, in seconds.
	TTL *int `hcl:"ttl,optional" json:"ttl,omitempty"`
	// Holds when the answer has exactly this size on the wire, in bytes: what dig prints as MSG SIZE rcvd.
	Size *int `hcl:"size,optional" json:"size,omitempty"`
	// Holds when there are answers, and every address is among them exactly twice. Default: false, not compared.
	Twice bool `hcl:"twice,optional" json:"twice,omitempty"`
	// Holds when nothing comes back in time: no answer, and no refusal either. Default: false, not compared.
	Silent bool `hcl:"silent,optional" json:"silent,omitempty"`
	// Holds when there was a silence that has ended, and the longest such was in this limit, as "15s to 60s": from the first question
	// of a phase that nothing came back for, to the next answer.
	Silence lab.Limit `hcl:"silence,optional" json:"silence,omitempty"`
}

// Check implements lab.Checker.
func (d *DNSAnswers) Check() []lab.Problem {
	var out []lab.Problem
	if d.Over == nil && d.DeadOver == nil && d.TTL == nil && d.Size == nil && !d.Twice && !d.Silent && d.Silence == "" {
		out = append(out, nothingAsserted("over, dead_over, ttl, size, twice, silent and silence"))
	}
	if d.Silent && (d.Over != nil || d.DeadOver != nil || d.TTL != nil || d.Size != nil || d.Twice) {
		out = append(out, lab.Problem{Attr: "silent", Summary: "an answer of a silent server",
			Detail: "Where nothing comes back there is no answer to compare, so these settings could never hold together. Make silent an assertion of its own."})
	}
	out = append(out, checkTime("silence", d.Silence)...)
	for _, v := range []struct {
		attr  string
		value *int
	}{{"over", d.Over}, {"dead_over", d.DeadOver}, {"ttl", d.TTL}, {"size", d.Size}} {
		if v.value != nil && *v.value < 0 {
			out = append(out, lab.Problem{Attr: v.attr, Summary: "negative number",
				Detail: fmt.Sprintf("%d is below 0, which no answer can be, so comparing with it would prove nothing. Write 0 or more.", *v.value)})
		}
	}
	if d.Server != "" {
		if _, err := serverAddress(d.Server); err != nil {
			out = append(out, lab.Problem{Attr: "server", Summary: "not the address of a server",
				Detail: fmt.Sprintf("%q is neither an address nor address:port. Write one such as \"10.89.0.1\" or \"10.89.0.1:53\", or leave it out to ask the container's own server.", d.Server)})
		}
	}
	return out
}

// Limits implements lab.Limiter.
func (*DNSAnswers) Limits() []string {
	return []string{"over", "dead_over", "ttl", "size", "twice", "silent", "silence"}
}

// Numbers implements lab.Numbered.
func (*DNSAnswers) Numbers() []string {
	return []string{"answers", "addresses", "dead", "not_twice", "silent", "ttl", "size", "rcode", "silence"}
}

// Measure implements lab.Measurer.
func (*DNSAnswers) Measure(history []lab.Observation) map[string]float64 {
	out := maps.Clone(last(history).Values)
	out["silence"] = silence(history).Seconds()
	return out
}

// Longest is how long one look may take.
func (d *DNSAnswers) Longest() time.Duration { return dnsPatience + 2*dnsTry }

// Observe implements lab.Observer.
func (d *DNSAnswers) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	stack, from, err := service(at, d.Stack, d.From)
	if err != nil {
		return lab.Observation{}, err
	}
	before, err := at.Containers(ctx, stack.Account)
	if err != nil {
		return lab.Observation{}, err
	}
	c, err := running(ctx, at, stack.Account, from.Container)
	if err != nil {
		return lab.Observation{}, err
	}
	server, err := d.server(c)
	if err != nil {
		return lab.Observation{}, err
	}
	var answer dnsAnswer
	err = at.Within(c, func() error {
		answer, err = ask(ctx, server, d.Name)
		return err
	})
	if err != nil {
		return lab.Observation{}, fmt.Errorf("cannot ask %s for %q from container %q: %w", server, d.Name, c.Name, err)
	}
	// A container that came or went while the question was under way is nobody's lie: it counts as alive.
	after, err := at.Containers(ctx, stack.Account)
	if err != nil {
		return lab.Observation{}, err
	}
	if answer.failure != "" && !slices.ContainsFunc(after, func(a lab.Container) bool { return a.ID == c.ID && a.PID == c.PID }) {
		return lab.Observation{}, fmt.Errorf("cannot ask from container %q: it ended meanwhile", c.Name) // its network went first
	}
	return answer.observation(owners(before, after)), nil
}

func (d *DNSAnswers) server(c lab.Container) (netip.AddrPort, error) {
	if d.Server != "" {
		return serverAddress(d.Server)
	}
	return nameserver(c)
}

// owners is the set of addresses that running containers have.
func owners(lists ...[]lab.Container) map[netip.Addr]bool {
	own := map[netip.Addr]bool{}
	for _, list := range lists {
		for _, c := range list {
			for _, a := range c.Addresses {
				own[a] = true
			}
		}
	}
	return own
}

func (a dnsAnswer) observation(alive map[netip.Addr]bool) lab.Observation {
	if a.failure != "" {
		return lab.Observation{
			Values:  map[string]float64{"answers": 0, "addresses": 0, "dead": 0, "not_twice": 0, "silent": truth(a.failure == timedOut)},
			Summary: "no answer: " + a.failure,
		}
	}
	var order []netip.Addr
	times := map[netip.Addr]int{}
	for _, addr := range a.addresses {
		if times[addr]++; times[addr] == 1 {
			order = append(order, addr)
		}
	}
	o := lab.Observation{}
	dead, notTwice := 0, 0
	for _, addr := range order {
		line := addr.String()
		if times[addr] > 1 {
			line += fmt.Sprintf(" ×%d", times[addr])
		}
		if !alive[addr] {
			dead++
			line += " dead"
		}
		if times[addr] != 2 {
			notTwice++
		}
		o.Lines = append(o.Lines, line)
	}
	o.Values = map[string]float64{
		"answers": float64(a.answers), "addresses": float64(len(order)), "dead": float64(dead),
		"not_twice": float64(notTwice), "silent": 0, "size": float64(a.size), "rcode": float64(a.rcode),
	}
	parts := []string{plural(a.answers, "answer"), plural(len(order), "address"), fmt.Sprintf("%d dead", dead)}
	switch {
	case a.mixedTTL:
		parts = append(parts, "different TTLs")
	case a.answers > 0:
		o.Values["ttl"] = float64(a.ttl)
		parts = append(parts, fmt.Sprintf("TTL %d", a.ttl))
	}
	if a.rcode != 0 {
		parts = append(parts, a.rcodeName())
	}
	o.Summary = strings.Join(append(parts, fmt.Sprintf("%d bytes", a.size)), ", ")
	return o
}

// Holds implements lab.Observer.
func (d *DNSAnswers) Holds(history []lab.Observation) bool {
	v := last(history).Values
	exactly := func(want *int, name string) bool {
		got, there := v[name]
		return want == nil || there && got == float64(*want)
	}
	over := func(limit *int, name string) bool { return limit == nil || v[name] > float64(*limit) }
	return over(d.Over, "answers") && over(d.DeadOver, "dead") &&
		exactly(d.TTL, "ttl") && exactly(d.Size, "size") &&
		(!d.Twice || v["answers"] > 0 && v["not_twice"] == 0) &&
		(!d.Silent || v["silent"] == 1) &&
		(d.Silence == "" || d.heard(history))
}

// heard says whether there was a silence that ended, and the longest one was in the limit.
func (d *DNSAnswers) heard(history []lab.Observation) bool {
	longest := silence(history)
	return longest > 0 && d.Silence.Holds(longest.Seconds())
}

// silence is the longest time without an answer that has ended: 0 when there was none.
func silence(history []lab.Observation) time.Duration {
	var longest time.Duration
	var began time.Time
	for _, o := range history {
		_, answered := o.Values["rcode"]
		switch {
		case o.Values["silent"] == 1 && began.IsZero():
			began = o.At
		case answered && !began.IsZero():
			longest = max(longest, o.At.Add(o.Took).Sub(began))
			began = time.Time{}
		}
	}
	return longest
}
