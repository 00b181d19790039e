package assertions

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// growthName is the name of the kind, which cannot be inside itself.
const growthName = "growth"

// Growth compares how fast a number of another assertion grows: for each event, where another one counts events (per), or
// for each second. It looks at both at each look, at the events first.
//
// The slope is the median of the slopes between all pairs of looks of a phase so far (Theil–Sen), with a 95 % confidence
// interval, and it holds when the whole interval is in the limit. A count of events that falls is a program that has
// begun again: only what came after counts. It never holds before it has seen enough (min_samples, across), so as an
// invariant it would be broken at the start.
//
// Values: those of the two assertions, as of.NAME and per.NAME. Figures: slope, low and high (its interval), samples (looks
// that differ in their events), across (the events, or seconds, between the first and the last), value (the newest); with per
// also events (the newest count) and per_second; with project also projected, projected_low and projected_high (what is
// added in the time of over), ends (seconds until the limit is reached, missing where nothing grows), and with per faster (how many
// times as fast as every the events came).
type Growth struct {
	// What grows: of "KIND" "NUMBER" { … }, with the settings of the kind.
	Of Counted `hcl:"of,block" json:"of"`
	// What counts the events: per "KIND" "NUMBER" { … }. Without it growth is per second.
	Per *Counted `hcl:"per,block" json:"per,omitempty"`
	// Holds when the slope is in this limit with its whole interval, as "over 1000": bytes for each event, say.
	Slope lab.Limit `hcl:"slope" json:"slope"`
	// Over how many events, or how long a time, it must have been seen, as "at least 50000" or "at least 20s". Default: at least
	// one event, or 5 seconds.
	Across lab.Limit `hcl:"across,optional" json:"across,omitempty"`
	// How many looks with different counts of events there must be before it can hold. Default: 8.
	MinSamples int `hcl:"min_samples,optional" json:"min_samples,omitempty"`
	// What the slope means where events are rarer and time is longer. It decides nothing.
	Project *Projection `hcl:"project,block" json:"project,omitempty"`
}

// Projection is how often and how long something happens outside the lab.
type Projection struct {
	// The time from one event to the next, as "1m" for one in a minute. Only with per.
	Every lab.Duration `hcl:"every,optional" json:"every,omitempty"`
	// How long it goes on, as "720h".
	Over lab.Duration `hcl:"over" json:"over"`
	// The most that there is of it, as "at most 2GiB": when is it reached?
	Limit lab.Limit `hcl:"limit,optional" json:"limit,omitempty"`
}

const (
	fewestSamples   = 5 // with fewer, the interval is as wide as the slopes are
	shortestSeconds = 5
)

// Check implements lab.Checker.
func (g *Growth) Check() []lab.Problem {
	var out []lab.Problem
	say := func(attr, summary, detail string) {
		out = append(out, lab.Problem{Attr: attr, Summary: summary, Detail: detail})
	}
	if g.Of.Look == nil {
		say("", "nothing grows", "Say what is measured with a block of \"KIND\" \"NUMBER\" { … }.")
		return out
	}
	out = append(out, g.Of.check("of")...)
	if g.Per != nil {
		out = append(out, g.Per.check("per")...)
	}
	if g.MinSamples < fewestSamples {
		say("min_samples", "too few samples", fmt.Sprintf("A slope of fewer than %d looks says nothing about its error. Write %d or more, or leave it out for 8.", fewestSamples, fewestSamples))
	}
	if g.Slope.Check() == nil {
		if low, high := g.Slope.Interval(); math.IsInf(low, -1) && math.IsInf(high, 1) {
			say("slope", "every slope is in the limit", "An assertion that cannot fail proves nothing. Write a limit such as \"over 1000\".")
		}
	}
	if g.Across != "" && g.Across.Check() == nil {
		switch low, high := g.Across.Interval(); {
		case !(low > 0) || !math.IsInf(high, 1):
			say("across", "not a least", "It is how far the looks must be apart before there is anything to judge. Write it as \"at least 2000\", or \"at least 20s\" without per.")
		case g.Per == nil && !g.Across.IsTime():
			say("across", "a time without a unit", fmt.Sprintf("Without per, growth is over time, and %q could mean anything. Write the unit, as in \"at least 20s\".", string(g.Across)))
		}
	}
	if p := g.Project; p != nil {
		out = append(out, p.check(g.Per != nil)...)
	}
	return out
}

func (p *Projection) check(events bool) []lab.Problem {
	var out []lab.Problem
	say := func(attr, summary, detail string) {
		out = append(out, lab.Problem{Attr: "project." + attr, Summary: summary, Detail: detail})
	}
	switch {
	case events && p.Every == "":
		say("every", "events of no rate", "Growth is per event, so how often there is one decides what it comes to. Write the time from one to the next, such as every = \"1m\".")
	case !events && p.Every != "":
		say("every", "nothing counts events", "Without per, growth is per second, and nothing has to be said about events. Take it out, or add per.")
	case events && p.Every.Check() == nil && p.Every.Value() <= 0:
		say("every", "time that is zero", "There is some time between two events. Write it, such as \"1m\".")
	}
	if p.Over.Check() == nil && p.Over.Value() <= 0 {
		say("over", "time that is zero", "Write how long it goes on, such as \"720h\".")
	}
	if p.Limit != "" && p.Limit.Check() == nil {
		if low, high := p.Limit.Interval(); !math.IsInf(low, -1) || math.IsInf(high, 1) {
			say("limit", "not a most", "It is the most that there is of what grows. Write it as \"at most 2GiB\" or \"at most 32768\".")
		}
	}
	return out
}

// Limits implements lab.Limiter.
func (*Growth) Limits() []string {
	return []string{"slope", "across", "min_samples", "project.every", "project.over", "project.limit"}
}

// Numbers implements lab.Numbered.
func (g *Growth) Numbers() []string {
	out := []string{"slope", "low", "high", "samples", "across", "value"}
	if g.Per != nil {
		out = append(out, "events", "per_second")
	}
	if g.Project != nil {
		out = append(out, "projected", "projected_low", "projected_high")
		if g.Per != nil {
			out = append(out, "faster")
		}
		if g.Project.Limit != "" {
			out = append(out, "ends")
		}
	}
	return out
}

// Longest implements lab.Patient.
func (g *Growth) Longest() time.Duration {
	const unsaid = 30 * time.Second // for kinds that do not say how long they may take
	sum := time.Duration(0)
	for _, c := range g.counted() {
		if d := c.longest(); d > 0 {
			sum += d
		} else {
			sum += unsaid
		}
	}
	return sum
}

func (g *Growth) counted() []*Counted {
	if g.Per == nil {
		return []*Counted{&g.Of}
	}
	return []*Counted{&g.Of, g.Per}
}

// Observe implements lab.Observer.
func (g *Growth) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	var events lab.Observation
	if g.Per != nil { // first: to look at a thousand processes, say, takes its time, and shows them as they were when it began
		var err error
		if events, err = g.Per.observe(ctx, at, "per"); err != nil {
			return events, err
		}
	}
	o, err := g.Of.observe(ctx, at, "of")
	if err != nil || g.Per == nil {
		return o, err
	}
	for name, v := range events.Values {
		o.Values[name] = v
	}
	o.Summary += "; " + events.Summary
	return o, nil
}

// points are what the looks say, in order; see rising.
func (g *Growth) points(history []lab.Observation) []point {
	of := g.Of.own(history, "of")
	var per []lab.Observation
	if g.Per != nil {
		per = g.Per.own(history, "per")
	}
	var out []point
	for i, o := range history {
		y, ok := g.Of.number(of[:i+1])
		x := o.At.Sub(history[0].At).Seconds()
		if ok && g.Per != nil {
			x, ok = g.Per.number(per[:i+1])
		}
		if ok {
			out = append(out, point{x, y})
		}
	}
	return rising(out)
}

// enough says whether points are enough to judge their slope.
func (g *Growth) enough(points []point) bool {
	if len(points) < max(g.MinSamples, fewestSamples) {
		return false
	}
	across := points[len(points)-1].x - points[0].x
	switch {
	case g.Across != "":
		return g.Across.Holds(across)
	case g.Per == nil:
		return across >= shortestSeconds
	}
	return across >= 1
}

// Holds implements lab.Observer.
func (g *Growth) Holds(history []lab.Observation) bool {
	points := g.points(history)
	if !g.enough(points) { // asked at every look, and the slope is much work
		return false
	}
	s, ok := theilSen(points)
	return ok && g.Slope.Holds(s.low) && g.Slope.Holds(s.high)
}

// Doubt implements lab.Doubter.
func (g *Growth) Doubt(history []lab.Observation) string {
	points := g.points(history)
	if g.enough(points) {
		return ""
	}
	across := 0.0
	if len(points) > 0 {
		across = points[len(points)-1].x - points[0].x
	}
	word := "seconds"
	if g.Per != nil {
		word = "events"
	}
	return fmt.Sprintf("%s over %s %s", plural(len(points), "look"), plain(across), word)
}

// Measure implements lab.Measurer.
func (g *Growth) Measure(history []lab.Observation) map[string]float64 {
	points := g.points(history)
	out := map[string]float64{"samples": float64(len(points))}
	if len(points) == 0 {
		return out
	}
	first, newest := points[0], points[len(points)-1]
	out["value"], out["across"] = newest.y, newest.x-first.x
	perSecond := 1.0 // of what a slope is for each of
	if g.Per != nil {
		out["events"] = newest.x
		perSecond = g.eventsPerSecond(history, len(points))
		out["per_second"] = perSecond
	}
	s, ok := theilSen(points)
	if !ok {
		return out
	}
	out["slope"], out["low"], out["high"] = s.mid, s.low, s.high
	if g.Project == nil {
		return out
	}
	every := 1.0
	if g.Per != nil {
		every = g.Project.Every.Value().Seconds()
		out["faster"] = perSecond * every
	}
	times := g.Project.Over.Value().Seconds() / every
	out["projected"], out["projected_low"], out["projected_high"] = s.mid*times, s.low*times, s.high*times
	if g.Project.Limit != "" && s.low > 0 {
		_, most := g.Project.Limit.Interval()
		out["ends"] = max(0, most-first.y) / s.mid * every
	}
	return out
}

// eventsPerSecond is how fast the events came, over the looks that the newest points were made of.
func (g *Growth) eventsPerSecond(history []lab.Observation, points int) float64 {
	per := g.Per.own(history, "per")
	newest := len(history) - 1
	to, ok := g.Per.number(per)
	if !ok {
		return 0
	}
	from, begun := to, newest
	for i := newest - 1; i >= 0; i-- {
		x, ok := g.Per.number(per[:i+1])
		if !ok || x > from {
			break // the counter began again here
		}
		from, begun = x, i
	}
	if seconds := history[newest].At.Sub(history[begun].At).Seconds(); seconds > 0 && points > 1 {
		return (to - from) / seconds
	}
	return 0
}

// Explain implements lab.Explainer.
func (g *Growth) Explain(history []lab.Observation) string {
	m := g.Measure(history)
	word := "second"
	across := time.Duration(m["across"] * float64(time.Second)).Round(time.Second).String()
	if g.Per != nil {
		word = "event"
		across = plain(m["across"]) + " events"
	}
	if _, ok := m["slope"]; !ok {
		return fmt.Sprintf("%s %s in %s, over %s: too little to say how it grows", g.Of.Kind, g.Of.Number, plural(int(m["samples"]), "look"), across)
	}
	s := fmt.Sprintf("%s for each %s (%s to %s), in %s over %s", g.amount(m["slope"]), word, g.amount(m["low"]), g.amount(m["high"]),
		plural(int(m["samples"]), "look"), across)
	if g.Project == nil {
		return s
	}
	s += fmt.Sprintf("; %s more in %s", g.amount(m["projected"]), days(g.Project.Over.Value().Seconds()))
	if g.Per != nil {
		s += fmt.Sprintf(" at one every %s, which is %s times as slow", g.Project.Every, plain(m["faster"]))
	}
	if ends, ok := m["ends"]; ok {
		s += fmt.Sprintf("; %s is reached after %s", strings.TrimPrefix(string(g.Project.Limit), "at most "), days(ends))
	}
	return s
}

// amount writes a number of what grows: numbers of these names are bytes in every kind.
func (g *Growth) amount(v float64) string {
	if !slices.Contains([]string{"bytes", "total_bytes", "memory"}, g.Of.Number) {
		return plain(v) + " " + g.Of.Number
	}
	for _, u := range []struct {
		name        string
		size, least float64
	}{{"GB", 1e9, 1e9}, {"MB", 1e6, 1e6}, {"kB", 1e3, 1e4}} {
		if math.Abs(v) >= u.least {
			return fmt.Sprintf("%.1f %s", v/u.size, u.name)
		}
	}
	return plain(v) + " B"
}

// plain is a number with as many digits as tell something.
func plain(v float64) string {
	if math.Abs(v) >= 100 {
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// days writes a long time.
func days(seconds float64) string {
	const day, year = 24 * 3600, 365.25 * 24 * 3600
	switch {
	case seconds >= year:
		return fmt.Sprintf("%.1f years", seconds/year)
	case seconds >= day:
		return fmt.Sprintf("%s days", strconv.FormatFloat(math.Round(seconds/day*10)/10, 'f', -1, 64))
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}
