package assertions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

func TestTheilSen(t *testing.T) {
	line := func(n int, y func(x float64) float64) []point {
		var out []point
		for i := range n {
			x := float64(100 * i)
			out = append(out, point{x, y(x)})
		}
		return out
	}
	noise := rand.New(rand.NewPCG(1, 2)) // the same numbers every time
	for _, c := range []struct {
		name   string
		points []point
		want   float64
		width  float64 // of the interval, at most
	}{
		{"a line", line(20, func(x float64) float64 { return 1388*x + 7 }), 1388, 0},
		{"flat", line(20, func(float64) float64 { return 5 }), 0, 0},
		{"far off", append(line(20, func(x float64) float64 { return 3 * x }), point{2000, 1e9}, point{2100, -1e9}), 3, 1},
		{"noise", line(50, func(x float64) float64 { return 10*x + 1000*noise.NormFloat64() }), 10, 2},
		{"many", line(5000, func(x float64) float64 { return 2*x + noise.NormFloat64() }), 2, 0.01},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, ok := theilSen(c.points)
			if !ok || s.low > c.want+1e-9 || s.high < c.want-1e-9 || s.high-s.low > c.width+1e-9 || s.mid < s.low || s.mid > s.high {
				t.Errorf("got %+v, want %g in an interval of %g", s, c.want, c.width)
			}
			if again, _ := theilSen(c.points); again != s {
				t.Errorf("%+v, then %+v", s, again)
			}
		})
	}
	if _, ok := theilSen(line(2, func(x float64) float64 { return x })); ok {
		t.Error("two points make an interval")
	}
}

// The interval is what it says: of so many noisy lines, about so many have their slope in it.
func TestTheilSenCovers(t *testing.T) {
	noise := rand.New(rand.NewPCG(3, 4))
	const lines = 1000
	covered := 0
	for range lines {
		var points []point
		for i := range 15 {
			points = append(points, point{float64(i), 2*float64(i) + noise.NormFloat64()})
		}
		if s, _ := theilSen(points); s.low <= 2 && 2 <= s.high {
			covered++
		}
	}
	if covered < 930 || covered > 990 {
		t.Errorf("%d of %d", covered, lines)
	}
}

func TestRising(t *testing.T) {
	got := rising([]point{{5, 50}, {6, 60}, {0, 1}, {0, 3}, {2, 4}, {3, 5}})
	want := []point{{0, 2}, {2, 4}, {3, 5}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(point{})); diff != "" {
		t.Error(diff)
	}
}

// looks are observations of a leak: so much for each event, that many events at each look.
func looks(n int, each, step float64) []lab.Observation {
	start := time.Unix(1000, 0)
	var out []lab.Observation
	for i := range n {
		x := step * float64(i)
		out = append(out, lab.Observation{At: start.Add(time.Duration(i) * time.Second), Values: map[string]float64{
			"of.bytes": 5000 + each*x, "of.objects": 17 * x, "per.number": x, "per.status": 200,
		}})
	}
	return out
}

func leakGrowth() *Growth {
	return &Growth{
		Of:  Counted{Kind: "heap_profile", Number: "bytes", Look: &HeapProfile{Timeout: "10s", Machine: "machine.m", URL: "http://localhost:6060/"}},
		Per: &Counted{Kind: "http", Number: "number", Look: &HTTP{Timeout: "10s", Machine: "machine.m", URL: "http://localhost/", Number: "([0-9]+)"}},

		Slope: "over 1000", Across: "at least 2000", MinSamples: 8,
		Project: &Projection{Every: "1m", Over: "720h", Limit: "at most 1GB"},
	}
}

func TestGrowthHolds(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(g *Growth)
		history []lab.Observation
		want    bool
		doubt   string // whether it has seen too little to say so
	}{
		{"leaks", nil, looks(8, 1388, 300), true, ""},
		{"too few looks", nil, looks(7, 1388, 400), false, "7 looks over 2400 events"},
		{"too few events", nil, looks(20, 1388, 100), false, "20 looks over 1900 events"},
		{"no event", nil, looks(20, 1388, 0), false, "1 look over 0 events"},
		{"does not leak", nil, looks(20, 20, 300), false, ""},
		{"and that is asserted", func(g *Growth) { g.Slope = "under 100" }, looks(20, 20, 300), true, ""},
		{"but not without a look", func(g *Growth) { g.Slope = "under 100" }, looks(1, 20, 300), false, "1 look over 0 events"},
		{"the program began again", nil, append(looks(20, 1388, 300), looks(3, 1388, 300)...), false, "3 looks"},
		{"and leaks again", nil, append(looks(20, 1388, 300), looks(9, 1388, 300)...), true, ""},
		{"over time", func(g *Growth) { g.Per, g.Across = nil, "at least 19s" }, looks(20, 1388, 300), true, ""},
		{"over too short a time", func(g *Growth) { g.Per, g.Across = nil, "" }, looks(5, 1388, 300), false, "5 looks over 4 seconds"},
	} {
		g := leakGrowth()
		if c.change != nil {
			c.change(g)
		}
		if got := g.Holds(c.history); got != c.want {
			t.Errorf("%s: %v: %s", c.name, got, g.Explain(c.history))
		}
		if got := g.Doubt(c.history); (got == "") != (c.doubt == "") || !strings.HasPrefix(got, c.doubt) {
			t.Errorf("%s: doubts %q, not %q", c.name, got, c.doubt)
		}
	}
	// The whole interval must be in the limit: the middle of this one is.
	wild := looks(12, 1388, 300)
	for i := range wild {
		wild[i].Values["of.bytes"] += 1e6 * float64(i%3)
	}
	g := leakGrowth()
	if m := g.Measure(wild); !(m["slope"] > 1000 && m["low"] < 1000) {
		t.Fatalf("this history decides nothing: %v", m)
	}
	if g.Holds(wild) {
		t.Error("holds although its interval goes below the limit")
	}
}

func TestGrowthMeasure(t *testing.T) {
	g := leakGrowth()
	history := looks(11, 1388, 300)
	got := g.Measure(history)
	want := map[string]float64{
		"slope": 1388, "low": 1388, "high": 1388, "samples": 11, "across": 3000, "value": 5000 + 1388*3000, "events": 3000, "per_second": 300,
		"faster": 18000, "projected": 1388 * 43200, "projected_low": 1388 * 43200, "projected_high": 1388 * 43200,
		"ends": (1e9 - 5000) / 1388 * 60,
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-6*math.Abs(a)+1e-9 })); diff != "" {
		t.Error(diff)
	}
	for _, n := range g.Numbers() {
		if _, ok := got[n]; !ok {
			t.Errorf("it says that it has a number %q", n)
		}
	}
	const text = "1388 B for each event (1388 B to 1388 B), in 11 looks over 3000 events; 60.0 MB more in 30 days at one every 1m, which is 18000 times as slow; 1GB is reached after 1.4 years"
	if s := g.Explain(history); s != text {
		t.Errorf("explained as\n%s, want\n%s", s, text)
	}
	if s := g.Explain(history[:2]); s != "heap_profile bytes in 2 looks, over 300 events: too little to say how it grows" {
		t.Errorf("two looks are explained as %q", s)
	}
	if _, ok := g.Measure(looks(11, 0, 300))["ends"]; ok {
		t.Error("what does not grow ends")
	}
	if data, err := json.Marshal(g.Measure(looks(11, -5, 300))); err != nil {
		t.Errorf("%s %v", data, err)
	}
}

// Numbers that come from all looks together are those at each look: of a log, all lines so far.
func TestGrowthOfLines(t *testing.T) {
	g := &Growth{Of: Counted{Kind: "log", Number: "lines", Look: &Log{Match: "x"}}, Slope: "over 1.9", MinSamples: 8}
	var history []lab.Observation
	for i := range 10 {
		history = append(history, lab.Observation{At: time.Unix(int64(i), 0), Values: map[string]float64{"of.lines": 2}})
	}
	if !g.Holds(history) {
		t.Error(g.Explain(history))
	}
}

func TestGrowthTravels(t *testing.T) {
	g := leakGrowth()
	data, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	got := new(Growth)
	if err := json.Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(g, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{
		`{"of":{"kind":"growth","number":"slope"}}`, `{"of":{"kind":"nothing","number":"x"}}`, `{"of":{"kind":"http","number":"x","look":{"colour":1}}}`,
	} {
		if err := json.Unmarshal([]byte(bad), new(Growth)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestGrowthObserve(t *testing.T) {
	requests := 41
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		fmt.Fprintf(w, "%s %d\n", strings.Trim(r.URL.Path, "/"), requests)
	}))
	defer server.Close()
	look := func(number lab.Pattern) *HTTP {
		return &HTTP{Timeout: "5s", Machine: "machine.m", URL: lab.URL(server.URL + "/served"), Number: number}
	}
	g := &Growth{Of: Counted{Kind: "http", Number: "number", Look: look("served ([0-9]+)")}, Per: &Counted{Kind: "http", Number: "number", Look: look("served ([0-9]+)")}}
	o, err := g.Observe(t.Context(), labtest.NewWorld(nil))
	if err != nil || o.Values["of.number"] != 43 || o.Values["per.number"] != 42 || o.Values["of.status"] != 200 {
		t.Errorf("%+v, %v", o, err)
	}
	g.Per.Look = look("lost ([0-9]+)")
	if _, err := g.Observe(t.Context(), labtest.NewWorld(nil)); err == nil || !strings.Contains(err.Error(), `cannot measure growth: http saw no number "number": 200`) {
		t.Errorf("a look without the number: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Observe(cancelled, labtest.NewWorld(nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if got := g.Longest(); got != 12*time.Second {
		t.Errorf("a look takes %s", got)
	}
}

func TestGrowthCheck(t *testing.T) {
	for _, c := range []struct {
		change func(g *Growth)
		want   string
	}{
		{func(*Growth) {}, ""},
		{func(g *Growth) { g.Of = Counted{} }, ": nothing grows"},
		{func(g *Growth) { g.Of.Number = "byte" }, "of: unknown number"},
		{func(g *Growth) { g.Of.Look.(*HeapProfile).Timeout = "0s" }, "of.timeout: no time to look"},
		{func(g *Growth) { g.Per.Look.(*HTTP).Machine = "" }, "per: one place is needed"},
		{func(g *Growth) { g.MinSamples = 2 }, "min_samples: too few samples"},
		{func(g *Growth) { g.Slope = "-Inf to Inf" }, "slope: every slope is in the limit"},
		{func(g *Growth) { g.Across = "under 5" }, "across: not a least"},
		{func(g *Growth) { g.Per, g.Project = nil, nil }, "across: a time without a unit"},
		{func(g *Growth) { g.Per, g.Across = nil, "at least 20s" }, "project.every: nothing counts events"},
		{func(g *Growth) { g.Project.Every = "" }, "project.every: events of no rate"},
		{func(g *Growth) { g.Project.Every, g.Project.Over = "0s", "0s" }, "project.every: time that is zero; project.over: time that is zero"},
		{func(g *Growth) { g.Project.Limit = "over 2GiB" }, "project.limit: not a most"},
	} {
		g := leakGrowth()
		c.change(g)
		var got []string
		for _, p := range g.Check() {
			got = append(got, p.Attr+": "+p.Summary)
			if !strings.HasSuffix(p.Detail, ".") {
				t.Errorf("detail is no full sentence: %q", p.Detail)
			}
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("got %q, want %q", s, c.want)
		}
	}
}
