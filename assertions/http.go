package assertions

import (
	"context"
	"strconv"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// HTTP makes one GET request per look, from inside the machine, each on a connection of its own, and compares what
// comes back. Redirects are not followed.
//
// All settings that are given must hold together, on the newest look. A request that gets no whole response (refused,
// unreachable, not trusted, too late) has status 0, and says why in its summary.
//
// Values: status, seconds (the whole request), dns_seconds, connect_seconds, tls_seconds, first_byte_seconds (from the
// start), timeout (1: nothing came in time), body_match (1 or 0), number (the one that the setting of that name finds).
type HTTP struct {
	// The stack that is asked; it says on which machine to look. Either this or machine.
	Stack lab.StackRef `hcl:"stack,optional" json:"stack,omitempty"`
	// The machine to ask from, for an address that belongs to no stack.
	Machine lab.MachineRef `hcl:"machine,optional" json:"machine,omitempty"`
	// The address to request, as the machine sees it.
	URL lab.URL `hcl:"url" json:"url"`
	// Holds when the response has exactly this status; 0 asserts that none comes.
	Status *int `hcl:"status,optional" json:"status,omitempty"`
	// Holds when the whole request took this long, as "under 1s". Of the requests without a response only those that
	// ran into the timeout are compared; the others never hold.
	Time lab.Limit `hcl:"time,optional" json:"time,omitempty"`
	// Holds when this pattern matches somewhere in the first MiB of the body.
	Body lab.Pattern `hcl:"body,optional" json:"body,omitempty"`
	// A pattern that finds a number in the body, with a group around it: "goroutine profile: total ([0-9]+)".
	Number lab.Pattern `hcl:"number,optional" json:"number,omitempty"`
	// Holds when that number is in this limit. It never holds where there is none.
	Amount lab.Limit `hcl:"amount,optional" json:"amount,omitempty"`
	// Whether the server's certificate must be one that the machine trusts; false for a self-signed one. Default: true.
	TLSVerify bool `hcl:"tls_verify,optional" json:"tls_verify"`
	// How long one request may take. Default: "10s".
	Timeout lab.Duration `hcl:"timeout,optional" json:"timeout,omitempty"`
}

// Check implements lab.Checker.
func (h *HTTP) Check() []lab.Problem {
	out := checkTimeout(h.Timeout)
	if h.Status == nil && h.Time == "" && h.Body == "" && h.Amount == "" {
		out = append(out, nothingAsserted("status, time, body and amount"))
	}
	if h.Amount != "" && h.Number == "" {
		out = append(out, lab.Problem{Attr: "amount", Summary: "the amount of nothing",
			Detail: "Say where the number stands in the body, with number = \"total ([0-9]+)\"."})
	}
	if h.Number != "" && h.Number.Check() == nil && h.Number.Regexp().NumSubexp() != 1 {
		out = append(out, lab.Problem{Attr: "number", Summary: "one group is needed",
			Detail: "The number is what the group of the pattern matches. Put round brackets around it: \"total ([0-9]+)\"."})
	}
	out = append(out, checkTime("time", h.Time)...)
	if h.Status != nil && *h.Status != 0 && (*h.Status < 100 || *h.Status > 599) {
		out = append(out, lab.Problem{Attr: "status", Summary: "no such status",
			Detail: "No server sends this status, so this assertion could never hold. Write 100 to 599, or 0 for no response at all."})
	}
	if h.Stack != "" && h.Machine != "" || h.Stack == "" && h.Machine == "" {
		out = append(out, onePlace())
	}
	return out
}

// onePlace is the complaint about a block that names no place, or two.
func onePlace() lab.Problem {
	return lab.Problem{Summary: "one place is needed",
		Detail: "An assertion looks inside one machine. Set either stack, which also says which machine, or machine."}
}

// Limits implements lab.Limiter.
func (*HTTP) Limits() []string { return []string{"status", "time", "amount"} }

// Numbers implements lab.Numbered.
func (h *HTTP) Numbers() []string {
	out := []string{"status", "seconds", "dns_seconds", "connect_seconds", "tls_seconds", "first_byte_seconds", "timeout"}
	if h.Body != "" {
		out = append(out, "body_match")
	}
	if h.Number != "" {
		out = append(out, "number")
	}
	return out
}

// Longest is how long one look may take.
func (h *HTTP) Longest() time.Duration { return h.Timeout.Value() + time.Second }

// Observe implements lab.Observer.
func (h *HTTP) Observe(ctx context.Context, _ lab.Place) (lab.Observation, error) {
	r, err := get(ctx, string(h.URL), h.TLSVerify, h.Timeout.Value())
	if err != nil {
		return lab.Observation{}, err
	}
	o := lab.Observation{Values: r.values(), Summary: r.String()}
	if h.Body != "" {
		match := r.failure == "" && h.Body.Regexp().Match(r.body)
		o.Values["body_match"] = truth(match)
		if !match && r.failure == "" {
			o.Summary += ", body does not match"
			o.Lines = firstLines(r.body, 10)
		}
	}
	if v, ok := h.find(r); ok {
		o.Values["number"] = v
		o.Summary += ", number " + plain(v)
	}
	return o, nil
}

// find is the number that the setting of that name asks for.
func (h *HTTP) find(r response) (float64, bool) {
	if h.Number == "" || r.failure != "" {
		return 0, false
	}
	m := h.Number.Regexp().FindSubmatch(r.body)
	if m == nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	return v, err == nil
}

// Holds implements lab.Observer.
func (h *HTTP) Holds(history []lab.Observation) bool {
	v := last(history).Values
	number, found := v["number"]
	return (h.Status == nil || v["status"] == float64(*h.Status)) &&
		(h.Time == "" || measured(v) && h.Time.Holds(v["seconds"])) &&
		(h.Body == "" || v["body_match"] == 1) &&
		(h.Amount == "" || found && h.Amount.Holds(number))
}

// measured says whether a request's time is that of a page, or of a wait for one: not that of a failure.
func measured(values map[string]float64) bool { return values["status"] != 0 || values["timeout"] == 1 }
