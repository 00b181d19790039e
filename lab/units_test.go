package lab

import "testing"

func TestLimit(t *testing.T) {
	for _, c := range []struct {
		limit Limit
		in    []float64
		out   []float64
		time  bool
	}{
		{"over 3s", []float64{3.001}, []float64{3, 0}, true},
		{"under 250ms", []float64{0, 0.249}, []float64{0.25}, true},
		{"at least 4", []float64{4, 5}, []float64{3}, false},
		{"at most 1MiB", []float64{1 << 20}, []float64{1<<20 + 1}, false},
		{"exactly 172", []float64{172}, []float64{171, 173}, false},
		{"2.9s to 3.5s", []float64{2.9, 3.06, 3.5}, []float64{2.89, 3.51}, true},
		{"2.9 to 3.5s", []float64{3}, []float64{4}, false},
	} {
		if err := c.limit.Check(); err != nil {
			t.Errorf("%q: %v", c.limit, err)
			continue
		}
		for _, v := range c.in {
			if !c.limit.Holds(v) {
				t.Errorf("%q: %g is in it", c.limit, v)
			}
		}
		for _, v := range c.out {
			if c.limit.Holds(v) {
				t.Errorf("%q: %g is not in it", c.limit, v)
			}
		}
		if c.limit.IsTime() != c.time {
			t.Errorf("%q: a time: %v", c.limit, !c.time)
		}
	}
	for _, bad := range []Limit{"", "3s", "over", "over 3 parsecs", "4s to 3s", "about 3"} {
		if bad.Check() == nil {
			t.Errorf("%q is a limit", bad)
		}
	}
}

func TestRate(t *testing.T) {
	for text, want := range map[Rate]struct {
		low, high float64
	}{">= 0.9": {0.9, 1}, "<=0.05": {0, 0.05}, " >= .5 ": {0.5, 1}, "0.1 to 0.9": {0.1, 0.9}} {
		if err := text.Check(); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if low, high := text.Bounds(); low != want.low || high != want.high {
			t.Errorf("%q is %g to %g", text, low, high)
		}
	}
	for _, bad := range []Rate{"", "0.9", "> 0.9", ">= 90", ">= 0", ">= 1", "<= 0", "<= 1", ">= NaN", ">= often", ">= 90%", "0.9 to 0.1", "0.5 to 0.5", "0 to 0.5", "0.5 to 1", "0.1 to", "0.1 to 0.5 to 0.9"} {
		if bad.Check() == nil {
			t.Errorf("%q is a rate", bad)
		}
	}
}

func TestUnits(t *testing.T) {
	for _, bad := range []interface{ Check() error }{
		Duration(""), Duration("3"), Duration("-3s"), Duration("fast"), Size("12"), Size("12 bananas"), Pattern("("), Path("../x"), Path("/x"), Path(""),
	} {
		if bad.Check() == nil {
			t.Errorf("%T %q is right", bad, bad)
		}
	}
	if got := Size("1.5GiB").Bytes(); got != 3<<29 {
		t.Errorf("1.5GiB is %d bytes", got)
	}
}
