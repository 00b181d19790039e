package assertions

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// HTTPLatency makes one GET request per look, from inside the machine, each on a connection of its own, and compares
// the times of all looks of a phase so far. Redirects are not followed.
//
// All settings that are given must hold together. A request that ran into the timeout counts with the time it waited;
// one that failed at once (refused, unreachable) is no sample, since it says nothing about how fast a page is. It holds
// only once there are min_samples samples, so as an invariant it would be broken at the start: there, use http with time.
//
// Values: status, seconds, dns_seconds, connect_seconds, tls_seconds, first_byte_seconds, timeout; with per_line also
// lines, and seconds_per_line where there are any. Figures, of all requests: requests, median, p95 and slowest (seconds); with
// per_line also lines (most that one request caused) and seconds_per_line (the median).
type HTTPLatency struct {
	// The stack that is asked.
	Stack lab.StackRef `hcl:"stack" json:"stack"`
	// The address to request, as the machine sees it.
	URL lab.URL `hcl:"url" json:"url"`
	// Holds when the median is in this limit, as "over 3s". Percentiles are samples, by nearest rank.
	P50 lab.Limit `hcl:"p50,optional" json:"p50,omitempty"`
	// Holds when the 95th percentile is in this limit.
	P95 lab.Limit `hcl:"p95,optional" json:"p95,omitempty"`
	// Holds when the 99th percentile is in this limit.
	P99 lab.Limit `hcl:"p99,optional" json:"p99,omitempty"`
	// Holds when the slowest request is in this limit.
	Max lab.Limit `hcl:"max,optional" json:"max,omitempty"`
	// How many samples there must be before it can hold. Default: 5.
	MinSamples int `hcl:"min_samples,optional" json:"min_samples,omitempty"`
	// Whether the server's certificate must be one that the machine trusts; false for a self-signed one. Default: true.
	TLSVerify bool `hcl:"tls_verify,optional" json:"tls_verify"`
	// How long one request may take. Default: "60s".
	Timeout lab.Duration `hcl:"timeout,optional" json:"timeout,omitempty"`
	// Holds when the time of each request is explained by the log lines that this request caused.
	PerLine *PerLine `hcl:"per_line,block" json:"per_line,omitempty"`
}

// PerLine says that a request takes a given time for each log line of a kind that it causes: so many failed attempts, so
// many seconds. Each request carries a query parameter saigen=<random>, and its lines are those that contain it.
//
// It holds when at least one request has matching lines, at the median such a request took the given time for each of them,
// and every request without any was faster than one line's time. The median, because two requests that wait for the same
// thing share what is left of the wait.
type PerLine struct {
	// The service whose log is read.
	Service lab.ServiceName `hcl:"service" json:"service"`
	// The lines that count.
	Match lab.Pattern `hcl:"match" json:"match"`
	// The time for each line, with both ends, as "2.9s to 3.5s".
	Time lab.Limit `hcl:"time" json:"time"`
	// The line that the service writes when the request is over, whatever its status, as nginx's access log does; best to
	// the same stream as the others. A look waits 5 seconds for it, so that no line of the request is missed, and could not
	// look when it does not come.
	Done lab.Pattern `hcl:"done" json:"done"`
}

// Check implements lab.Checker.
func (h *HTTPLatency) Check() []lab.Problem {
	out := checkTimeout(h.Timeout)
	if h.P50 == "" && h.P95 == "" && h.P99 == "" && h.Max == "" && h.PerLine == nil {
		out = append(out, nothingAsserted("p50, p95, p99, max and per_line"))
	}
	for _, l := range h.limits() {
		out = append(out, checkTime(l.attr, l.limit)...)
	}
	if h.MinSamples < 1 {
		out = append(out, lab.Problem{Attr: "min_samples", Summary: "no samples",
			Detail: "Without a sample there is nothing to compare. Write 1 or more, or leave it out for 5."})
	}
	if h.PerLine != nil {
		out = append(out, h.PerLine.check()...)
	}
	return out
}

func (p *PerLine) check() []lab.Problem {
	if p.Time.Check() != nil {
		return nil // complained about where its type is known
	}
	if out := checkTime("per_line.time", p.Time); len(out) > 0 {
		return out
	}
	if low, high := p.Time.Interval(); low <= 0 || math.IsInf(high, 1) {
		return []lab.Problem{{Attr: "per_line.time", Summary: "both ends are needed",
			Detail: "A request without a line must be faster than the lower end, and one with lines must not take longer than they explain. Write it as \"2.9s to 3.5s\"."}}
	}
	return nil
}

type percentile struct {
	attr  string
	part  float64
	limit lab.Limit
}

// limits are the settings that are given.
func (h *HTTPLatency) limits() []percentile {
	all := []percentile{{"p50", 0.50, h.P50}, {"p95", 0.95, h.P95}, {"p99", 0.99, h.P99}, {"max", 1, h.Max}}
	return slices.DeleteFunc(all, func(p percentile) bool { return p.limit == "" })
}

// Limits implements lab.Limiter.
func (*HTTPLatency) Limits() []string {
	return []string{"p50", "p95", "p99", "max", "min_samples", "per_line.time"}
}

// Longest is how long one look may take.
func (h *HTTPLatency) Longest() time.Duration {
	d := h.Timeout.Value() + time.Second
	if h.PerLine != nil {
		d += linesPatience
	}
	return d
}

// Observe implements lab.Observer.
func (h *HTTPLatency) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	if h.PerLine != nil {
		return h.PerLine.observe(ctx, at, h)
	}
	r, err := get(ctx, string(h.URL), h.TLSVerify, h.Timeout.Value())
	if err != nil {
		return lab.Observation{}, err
	}
	return lab.Observation{Values: r.values(), Summary: r.String()}, nil
}

// Holds implements lab.Observer.
func (h *HTTPLatency) Holds(history []lab.Observation) bool {
	var samples []float64
	for _, o := range history {
		if measured(o.Values) {
			samples = append(samples, o.Values["seconds"])
		}
	}
	if len(samples) < h.fewest() {
		return false
	}
	slices.Sort(samples)
	for _, p := range h.limits() {
		if !p.limit.Holds(rank(samples, p.part)) {
			return false
		}
	}
	return h.PerLine == nil || h.PerLine.holds(history)
}

func (h *HTTPLatency) fewest() int { return max(1, h.MinSamples) }

// Doubt implements lab.Doubter. Requests that nobody answered count here: they are no slow pages, however many there are.
func (h *HTTPLatency) Doubt(history []lab.Observation) string {
	if n := len(history); n < h.fewest() {
		return fmt.Sprintf("%s of at least %d", plural(n, "request"), h.fewest())
	}
	return ""
}

// Explain implements lab.Explainer.
func (h *HTTPLatency) Explain(history []lab.Observation) string {
	var samples []float64
	for _, o := range history {
		if measured(o.Values) {
			samples = append(samples, o.Values["seconds"])
		}
	}
	if len(samples) == 0 {
		return history[len(history)-1].Summary
	}
	slices.Sort(samples)
	var parts []string
	for _, p := range h.limits() {
		parts = append(parts, fmt.Sprintf("%s %.3f s", p.attr, rank(samples, p.part)))
	}
	if h.PerLine != nil {
		parts = append(parts, h.PerLine.explain(history))
	}
	return fmt.Sprintf("%s of %s", strings.Join(parts, ", "), plural(len(samples), "request"))
}

// Numbers implements lab.Numbered.
func (h *HTTPLatency) Numbers() []string {
	out := []string{"requests", "median", "p95", "slowest"}
	if h.PerLine != nil {
		out = append(out, "lines", "seconds_per_line")
	}
	return out
}

// Measure implements lab.Measurer.
func (h *HTTPLatency) Measure(history []lab.Observation) map[string]float64 {
	var samples, each []float64
	lines := 0.0
	for _, o := range history {
		if !measured(o.Values) {
			continue
		}
		samples = append(samples, o.Values["seconds"])
		if k := o.Values["lines"]; k > 0 {
			each, lines = append(each, o.Values["seconds"]/k), max(lines, k)
		}
	}
	out := map[string]float64{"requests": float64(len(samples))}
	if slices.Sort(samples); len(samples) > 0 {
		out["median"], out["p95"], out["slowest"] = rank(samples, 0.5), rank(samples, 0.95), rank(samples, 1)
	}
	if h.PerLine != nil {
		out["lines"] = lines
	}
	if slices.Sort(each); len(each) > 0 {
		out["seconds_per_line"] = rank(each, 0.5)
	}
	return out
}

// rank is the percentile by nearest rank of sorted samples.
func rank(sorted []float64, part float64) float64 {
	i := int(math.Ceil(part*float64(len(sorted)))) - 1
	return sorted[max(0, i)]
}

// holds compares the median, because a request that comes to an address while another one waits for it already waits for
// the rest of that time only. What no line explains must not be slow.
func (p *PerLine) holds(history []lab.Observation) bool {
	low, _ := p.Time.Interval()
	var each []float64
	for _, o := range history {
		if !measured(o.Values) {
			continue
		}
		switch k, s := o.Values["lines"], o.Values["seconds"]; {
		case k == 0 && s >= low:
			return false
		case k > 0:
			each = append(each, s/k)
		}
	}
	if len(each) == 0 {
		return false
	}
	slices.Sort(each)
	return p.Time.Holds(rank(each, 0.5))
}

func (p *PerLine) summary(r response, lines int) string {
	s := fmt.Sprintf("%s, %s", r, plural(lines, "line"))
	if lines > 0 {
		s += fmt.Sprintf(", %.3f s each", r.took.Seconds()/float64(lines))
	}
	return s
}
