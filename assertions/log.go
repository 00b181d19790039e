package assertions

import (
	"context"
	"fmt"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Log counts the lines that a service's container has written and that match a pattern. What was written before the
// watch began does not count. Containers of the same name that have been removed count with the others.
//
// It holds when the number of matching lines of the whole phase so far is in the limit.
//
// Values: lines, the matching lines that are new since the look before. Figures: lines, all of them.
type Log struct {
	// The stack of the service.
	Stack lab.StackRef `hcl:"stack" json:"stack"`
	// The service whose log is read.
	Service lab.ServiceName `hcl:"service" json:"service"`
	// The lines that count.
	Match lab.Pattern `hcl:"match" json:"match"`
	// How many there must be. Default: "at least 1".
	Count lab.Limit `hcl:"count,optional" json:"count,omitempty"`

	start time.Time      // of the first look; what is older never counts
	seen  map[logKey]int // how often each line near the end was there
	until time.Time      // start of the look before
}

// logKey is a log line as a map's key: two times that are equal need not be ==.
type logKey struct {
	at   int64 // nanoseconds
	text string
}

// logOverlap is how far each look reads back behind the one before, for lines that came late.
const logOverlap = 2 * time.Second

// logKept is how many lines one observation keeps as evidence.
const logKept = 20

// Check implements lab.Checker.
func (l *Log) Check() []lab.Problem {
	var out []lab.Problem
	if l.Match == "" {
		out = append(out, lab.Problem{Attr: "match", Summary: "nothing to look for",
			Detail: "An empty pattern matches every line. Write the pattern of the lines that count."})
	}
	return append(out, checkCount(l.Count)...)
}

// checkCount complains about a number of things that every number satisfies.
func checkCount(count lab.Limit) []lab.Problem {
	if !alwaysTrue(count) {
		return nil
	}
	return []lab.Problem{{Attr: "count", Summary: "every number is in the limit",
		Detail: fmt.Sprintf("There can never be fewer than 0, so %q always holds and proves nothing. Write a limit that can be missed, such as \"at least 1\" or \"exactly 0\".", string(count))}}
}

// Limits implements lab.Limiter.
func (*Log) Limits() []string { return []string{"count"} }

// Numbers implements lab.Numbered.
func (*Log) Numbers() []string { return []string{"lines"} }

// Measure implements lab.Measurer.
func (*Log) Measure(history []lab.Observation) map[string]float64 {
	return map[string]float64{"lines": total(history)}
}

// Observe implements lab.Observer.
func (l *Log) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	stack, s, err := service(at, l.Stack, l.Service)
	if err != nil {
		return lab.Observation{}, err
	}
	now := time.Now()
	if l.start.IsZero() {
		l.start, l.until = now, now
	}
	since := l.until.Add(-logOverlap)
	if since.Before(l.start) {
		since = l.start
	}
	lines, err := at.Logs(ctx, stack.Account, s.Container, since)
	if err != nil {
		return lab.Observation{}, err
	}
	o := lab.Observation{}
	n := 0
	for _, line := range l.fresh(lines) {
		if l.Match.Regexp().MatchString(line.Text) {
			if n++; n <= logKept {
				o.Lines = append(o.Lines, line.Text)
			}
		}
	}
	l.until = now
	o.Lines = clip(o.Lines)
	o.Values = map[string]float64{"lines": float64(n)}
	o.Summary = plural(n, "new line")
	return o, nil
}

// fresh returns the lines that the look before had not seen, and remembers all of them for the next one. Two equal lines
// of one moment are two lines.
func (l *Log) fresh(lines []lab.LogLine) []lab.LogLine {
	now := map[logKey]int{}
	var out []lab.LogLine
	for _, line := range lines {
		if line.At.Before(l.start) {
			continue
		}
		k := logKey{line.At.UnixNano(), line.Text}
		if now[k]++; now[k] > l.seen[k] {
			out = append(out, line)
		}
	}
	l.seen = now
	return out
}

// Holds implements lab.Observer.
func (l *Log) Holds(history []lab.Observation) bool { return l.Count.Holds(total(history)) }

// Explain implements lab.Explainer.
func (l *Log) Explain(history []lab.Observation) string { return plural(int(total(history)), "line") }

func total(history []lab.Observation) float64 {
	n := 0.0
	for _, o := range history {
		n += o.Values["lines"]
	}
	return n
}
