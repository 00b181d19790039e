package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// drawn says which of an assertion's values is drawn over time, and how.
type drawn struct {
	value    string // of lab.Observation.Values; empty: there is none to draw
	label    string // of the axis
	time     bool   // the value is in seconds
	sum      bool   // of all looks of the phase so far
	together bool   // the limits are percentiles
	page     bool   // the value counts only where a page came, or was waited for: see the kind http
	limits   []limit
	steps    *steps
	match    []lab.Pattern // log lines that it looks for
}

// limit is a threshold as the lab writes it.
type limit struct {
	text      string // "p95 over 3s"
	raw       string // "over 3s"; empty: a plain number
	low, high float64
}

// steps says that each thing of a kind accounts for a given time: so many lines, so many times that time.
type steps struct{ low, high float64 }

// settings is how the report reads the settings of a kind: by name, as docs/kinds.md lists them.
type settings map[string]json.RawMessage

func (s settings) text(name string) string {
	var v string
	_ = json.Unmarshal(s[name], &v) // not text: as if it were not set
	return v
}

func (s settings) number(name string) (float64, bool) {
	var v *float64
	err := json.Unmarshal(s[name], &v)
	if err != nil || v == nil {
		return 0, false
	}
	return *v, true
}

func (s settings) block(name string) settings {
	var v settings
	_ = json.Unmarshal(s[name], &v)
	return v
}

// limit is the threshold that a setting holds.
func (s settings) limit(name, words string) []limit {
	l := lab.Limit(s.text(name))
	if l == "" || l.Check() != nil {
		return nil
	}
	low, high := l.Interval()
	return []limit{{strings.TrimSpace(words + " " + string(l)), string(l), low, high}}
}

// count is the threshold of a setting that is a plain number n: over n, or exactly n.
func (s settings) count(name, words string, exactly bool) []limit {
	n, ok := s.number(name)
	if !ok {
		return nil
	}
	if exactly {
		return []limit{{fmt.Sprintf("%s exactly %g", words, n), "", n, n}}
	}
	return []limit{{fmt.Sprintf("%s over %g", words, n), "", n, math.Inf(1)}}
}

// drawnOf is the table of what is drawn of each kind. A kind that is not in it is drawn with its first value.
func drawnOf(a lab.Assertion, first string) drawn {
	var s settings
	_ = json.Unmarshal(a.Settings, &s)
	switch a.Kind {
	case "http_latency":
		d := drawn{value: "seconds", label: "seconds for a page", time: true, page: true, together: true}
		for _, p := range []string{"p50", "p95", "p99", "max"} {
			d.limits = append(d.limits, s.limit(p, p)...)
		}
		if per := s.block("per_line"); per != nil {
			if each := lab.Limit(per.text("time")); each.Check() == nil {
				low, high := each.Interval()
				d.steps = &steps{low, high}
			}
			d.match = append(d.match, lab.Pattern(per.text("match")))
		}
		return d
	case "http":
		return drawn{value: "seconds", label: "seconds for a page", time: true, page: true, limits: s.limit("time", "")}
	case "dns_answers":
		if l := s.count("dead_over", "dead", false); l != nil {
			return drawn{value: "dead", label: "dead addresses", limits: l}
		}
		return drawn{value: "answers", label: "answers", limits: s.count("over", "", false)}
	case "log", "journal":
		return drawn{value: "lines", label: "lines in the phase", sum: true, limits: s.limit("count", ""), match: []lab.Pattern{lab.Pattern(s.text("match"))}}
	case "process":
		return drawn{value: "processes", label: "processes", limits: s.limit("count", "")}
	case "container":
		return drawn{value: "running", label: "running"}
	case "command":
		switch {
		case s.text("time") != "":
			return drawn{value: "seconds", label: "seconds", time: true, limits: s.limit("time", "")}
		case s.text("stdout") != "":
			return drawn{value: "stdout_match", label: "output matches"}
		}
		return drawn{value: "code", label: "exit code", limits: append(s.count("exit", "", true), s.limit("exit_code", "")...)}
	case "file":
		switch {
		case s.text("match") != "":
			return drawn{value: "lines", label: "lines", limits: s.limit("count", "")}
		case s.text("size") != "":
			return drawn{value: "size", label: "bytes", limits: s.limit("size", "")}
		}
		return drawn{value: "exists", label: "it is there"}
	case "unit":
		if s.text("name") == "" {
			return drawn{value: "manager", label: "the user manager runs"}
		}
		return drawn{value: "active", label: "active"}
	case "port":
		return drawn{value: "matching", label: "holders of the port"}
	case "growth": // what grows, over time; the slope is of all looks together
		number := s.block("of").text("number")
		return drawn{value: "of." + number, label: cmp.Or(spoken(number), "what grows")}
	case "heap_profile":
		for _, v := range []string{"share", "objects"} {
			if l := s.limit(v, ""); l != nil {
				return drawn{value: v, label: v, limits: l}
			}
		}
		return drawn{value: "bytes", label: "bytes", limits: s.limit("bytes", "")}
	}
	return drawn{value: first, label: strings.ReplaceAll(first, "_", " "), time: strings.HasSuffix(first, "seconds"),
		limits: s.limit(first, first), match: []lab.Pattern{lab.Pattern(s.text("match"))}}
}

// of is the value to draw of a look; false: it has none.
func (d drawn) of(o lab.Observation) (float64, bool) {
	v, ok := o.Values[d.value]
	if d.page && o.Values["status"] == 0 && o.Values["timeout"] != 1 {
		return 0, false
	}
	return v, ok && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// mark is what a look shows by itself. Where the assertion judges many looks together by how long each took, that is
// whether its own time is in the limit, or explained by lines; a request to which no page came says nothing then.
func (d drawn) mark(l seenLook) rune {
	together := d.page && (d.together || d.steps != nil)
	if !together || (l.state != stateHolds && l.state != stateNot) {
		return l.state
	}
	if !l.drawn {
		return stateUncounted
	}
	own := d.steps != nil && l.Values["lines"] > 0
	for _, m := range d.limits {
		own = own || lab.Limit(m.raw).Holds(l.value)
	}
	if own {
		return stateHolds
	}
	return stateNot
}

// extreme is the value of several that speaks for them: the highest, or the lowest where the limit is from above.
func (d drawn) extreme(all []float64) float64 {
	if len(d.limits) > 0 && math.IsInf(d.limits[0].low, -1) && !d.time {
		return slices.Min(all)
	}
	return slices.Max(all)
}

// words is a value for people.
func (d drawn) words(v float64) string {
	if !d.time {
		return fmt.Sprintf("%g", v)
	}
	switch {
	case v < 0.001:
		return "< 1 ms"
	case v < 0.9995:
		return fmt.Sprintf("%.0f ms", v*1000)
	case v < 9.95:
		return fmt.Sprintf("%.1f s", v)
	}
	return fmt.Sprintf("%.0f s", v)
}

// described lists an assertion's settings as the lab file would say them, nested blocks with dots.
func described(raw json.RawMessage) []string {
	var s settings
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	var out []string
	for _, name := range sortedNames(s) {
		if inner := s.block(name); inner != nil {
			for _, line := range described(s[name]) {
				out = append(out, name+"."+line)
			}
			continue
		}
		out = append(out, clean(name+" = "+string(s[name])))
	}
	return out
}

func sortedNames(s settings) []string {
	var names []string
	for name := range s {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
