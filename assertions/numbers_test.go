package assertions

import (
	"io/fs"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/saigen-lab/saigen/lab"
)

// The comment of a kind tells the numbers that a figure may have, and the other way round.
func TestNumbersAreDocumented(t *testing.T) {
	var all []byte
	files, err := fs.Glob(Sources(), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		src, err := fs.ReadFile(Sources(), f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, src...), '\n')
	}
	for _, k := range Kinds() {
		o := k.New()
		name := reflect.TypeOf(o).Elem().Name()
		m := regexp.MustCompile(`(?m)((?:^//.*\n)+)^type ` + name + ` struct`).FindSubmatch(all)
		if m == nil {
			t.Fatalf("%s: type %s has no comment", k.Name, name)
		}
		n, ok := o.(lab.Numbered)
		switch documented := regexp.MustCompile(`(?s)// Values: .*`).Find(m[1]); {
		case documented == nil:
		case !ok:
			t.Errorf("%s documents its values, and has no method Numbers", k.Name)
		default:
			for _, number := range n.Numbers() {
				if !regexp.MustCompile(`\b` + number + `\b`).Match(documented) {
					t.Errorf("%s has a number %q, of which its comment says nothing:\n%s", k.Name, number, documented)
				}
			}
		}
	}
}

func TestMeasure(t *testing.T) {
	page := func(seconds, lines float64) lab.Observation {
		return lab.Observation{Values: map[string]float64{"status": 200, "seconds": seconds, "lines": lines}}
	}
	refused := lab.Observation{Values: map[string]float64{"status": 0, "seconds": 0.001}}
	waited := lab.Observation{Values: map[string]float64{"status": 0, "seconds": 60, "timeout": 1}}
	for _, c := range []struct {
		name    string
		do      lab.Observer
		history []lab.Observation
		want    map[string]float64
	}{
		{"pages", &HTTPLatency{}, []lab.Observation{page(3, 0), page(1, 0), refused, page(2, 0)},
			map[string]float64{"requests": 3, "median": 2, "p95": 3, "slowest": 3}},
		{"a page that never came", &HTTPLatency{}, []lab.Observation{page(1, 0), waited},
			map[string]float64{"requests": 2, "median": 1, "p95": 60, "slowest": 60}},
		{"lines", &HTTPLatency{PerLine: &PerLine{}}, []lab.Observation{page(18, 6), page(0.1, 0), page(3.2, 1), page(3.1, 1)},
			map[string]float64{"requests": 4, "median": 3.1, "p95": 18, "slowest": 18, "lines": 6, "seconds_per_line": 3.1}},
		{"no page", &HTTPLatency{}, []lab.Observation{refused}, map[string]float64{"requests": 0}},
		{"log", &Log{}, []lab.Observation{{Values: map[string]float64{"lines": 2}}, {Values: map[string]float64{"lines": 0}}, {Values: map[string]float64{"lines": 1}}},
			map[string]float64{"lines": 3}},
	} {
		got := c.do.(lab.Measurer).Measure(c.history)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		for _, number := range slices.Sorted(maps.Keys(got)) {
			numbers := c.do.(lab.Numbered).Numbers()
			if !slices.Contains(numbers, number) {
				t.Errorf("%s measures %q, which is not among its numbers %q", c.name, number, numbers)
			}
		}
	}
}
