package runner

import (
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// ever is the chance that a row of trials with a true rate, watched throughout, decides so within n of them.
func ever(rate float64, n int, decides func(Rate) bool) float64 {
	undecided, decided := []float64{1}, 0.0 // by the number of trials that got the verdict
	for i := 1; i <= n; i++ {
		next := make([]float64, i+1)
		for k, p := range undecided {
			next[k] += p * (1 - rate)
			next[k+1] += p * rate
		}
		for k, p := range next {
			if p > 0 && decides(NewRate(k, i)) {
				decided, next[k] = decided+p, 0
			}
		}
		undecided = next
	}
	return decided
}

// Who looks after every trial is wrong no more often than the confidence says; that needs more than an interval.
func TestLookingAfterEveryTrial(t *testing.T) {
	var g Gate
	for _, c := range []struct {
		want lab.Rate
		rate float64 // at the bound: the hardest to tell
		says Decision
	}{
		{">= 0.2", 0.2, Met}, {">= 0.5", 0.5, Met}, {">= 0.9", 0.9, Met}, {">= 0.9", 0.9, Missed}, {"<= 0.05", 0.05, Met},
		{"0.1 to 0.9", 0.1, Met}, {"0.1 to 0.9", 0.9, Met}, {"0.1 to 0.9", 0.9, Missed},
	} {
		naive := ever(c.rate, 200, func(r Rate) bool { return g.decide(c.want, r) == c.says })
		honest := ever(c.rate, 200, func(r Rate) bool { return g.enough(c.want, r) && g.decide(c.want, r) == c.says })
		t.Logf("%s at %g, %s: %.3f, by the interval alone %.3f", c.want, c.rate, c.says, honest, naive)
		if honest > 0.05 {
			t.Errorf("%s at a true rate of %g: wrongly %s in %.3f of all runs", c.want, c.rate, c.says, honest)
		}
		if honest > naive {
			t.Errorf("%s at a true rate of %g: the interval alone would be wrong less often: %.3f", c.want, c.rate, naive)
		}
	}
	if p := ever(0.2, 30, func(r Rate) bool { return g.decide(">= 0.2", r) == Met }); p < 0.25 {
		t.Errorf("the interval alone is wrong in %.3f only: simpler would do", p)
	}
	if p := ever(0.5, MostTrials, func(r Rate) bool { return g.enough("0.1 to 0.9", r) }); p < 0.9999 {
		t.Errorf("one half is found to be within 0.1 to 0.9 in %.5f of all runs", p)
	}
}
