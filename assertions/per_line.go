package assertions

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

const (
	// linesPatience is how long after a response the line that ends its request is waited for.
	linesPatience = 5 * time.Second
	// linesPause is the time between two readings of the log.
	linesPause = 100 * time.Millisecond
	// linesSlack reaches back before the request, for logs that stamp with a coarser clock.
	linesSlack = time.Second
)

// observe makes one request and counts the log lines that it caused.
func (p *PerLine) observe(ctx context.Context, at lab.Place, h *HTTPLatency) (lab.Observation, error) {
	stack, s, err := service(at, h.Stack, p.Service)
	if err != nil {
		return lab.Observation{}, err
	}
	marked, mark, err := markURL(string(h.URL))
	if err != nil {
		return lab.Observation{}, err
	}
	since := time.Now().Add(-linesSlack)
	r, err := get(ctx, marked, h.TLSVerify, h.Timeout.Value())
	if err != nil {
		return lab.Observation{}, err
	}
	o := lab.Observation{Values: r.values(), Summary: r.String()}
	if r.failure != "" && !r.timedOut() {
		return o, nil // it may never have reached the service: nothing to wait for, and no sample
	}
	read := func() ([]string, error) { return markedLines(ctx, at, stack.Account, s.Container, since, mark) }
	lines, err := p.await(ctx, read)
	if err != nil {
		return lab.Observation{}, err
	}
	for _, l := range lines {
		if p.Match.Regexp().MatchString(l) {
			o.Lines = append(o.Lines, l)
		}
	}
	k := len(o.Lines)
	o.Values["lines"] = float64(k)
	if k > 0 {
		o.Values["seconds_per_line"] = r.took.Seconds() / float64(k)
	}
	o.Lines = clip(o.Lines)
	o.Summary = p.summary(r, k)
	return o, nil
}

// await reads the request's lines until the one that ends it is there. The two streams of a container come to its log
// through two pipes, so what stands in the log once more after that is what counts.
func (p *PerLine) await(ctx context.Context, read func() ([]string, error)) ([]string, error) {
	deadline := time.Now().Add(linesPatience)
	done := false
	for {
		lines, err := read()
		if err != nil {
			return nil, err
		}
		if done {
			return lines, nil
		}
		for _, l := range lines {
			done = done || p.Done.Regexp().MatchString(l)
		}
		if !done && time.Now().After(deadline) {
			return nil, fmt.Errorf("cannot count the lines of a request: its last line (%s) is not in the log of service %q after %s; is its access log written to the container's output?",
				p.Done, p.Service, linesPatience)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(linesPause):
		}
	}
}

func markedLines(ctx context.Context, at lab.Place, account, container string, since time.Time, mark string) ([]string, error) {
	all, err := at.Logs(ctx, account, container, since)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range all {
		if strings.Contains(l.Text, mark) {
			out = append(out, l.Text)
		}
	}
	return out, nil
}

// markURL adds a query parameter by which the request is found again in a log.
func markURL(address string) (marked, mark string, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "", err
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id)
	mark = "saigen=" + hex.EncodeToString(id)
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += mark
	return u.String(), mark, nil
}

// explain says how long one line took, at the median and at its extremes, and how many lines there were.
func (p *PerLine) explain(history []lab.Observation) string {
	lines := 0
	var all []float64
	for _, o := range history {
		if each, ok := o.Values["seconds_per_line"]; ok && measured(o.Values) {
			lines += int(o.Values["lines"])
			all = append(all, each)
		}
	}
	if lines == 0 {
		return "no line"
	}
	slices.Sort(all)
	return fmt.Sprintf("%.2f s (%.2f to %.2f) for each of %s, in %d", rank(all, 0.5), all[0], all[len(all)-1], plural(lines, "line"), len(all))
}
