package runner

import (
	"math"
	"slices"
	"time"
)

// Rate is k of n with its Wilson score interval.
type Rate struct {
	K    int     `json:"k"`
	N    int     `json:"n"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	At   float64 `json:"at,omitempty"` // the interval's confidence; 0: 0.95
}

// Confidence is that of the interval.
func (r Rate) Confidence() float64 {
	if r.At == 0 {
		return usualConfidence
	}
	return r.At
}

// usualConfidence is that of an interval for which nobody asked for another one.
const usualConfidence = 0.95

// NewRate computes the 95 % interval.
func NewRate(k, n int) Rate { return RateAt(k, n, usualConfidence) }

// RateAt computes the interval at a confidence between 0 and 1; see E. B. Wilson, J. Am. Stat. Assoc. 22 (1927), 209–212.
// With n = 0 nothing is known: 0 to 1.
func RateAt(k, n int, confidence float64) Rate {
	r := Rate{K: k, N: n, High: 1}
	if confidence != usualConfidence {
		r.At = confidence
	}
	if n == 0 {
		return r
	}
	z := math.Sqrt2 * math.Erfinv(confidence)
	p, m := float64(k)/float64(n), float64(n)
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	r.Low, r.High = max(0, centre-half), min(1, centre+half)
	return r
}

// unlikely says whether k of n would be less likely than a chance, at some time of a row of trials that is watched throughout, if p were the true
// rate. (n+1) times the probability of exactly k of n is the likelihood of p against that of all rates together; that it ever falls to
// the chance is less likely than the chance. See H. Robbins, Ann. Math. Stat. 41 (1970), 1397–1409; J. Ville, Étude critique de la
// notion de collectif (1939).
func (r Rate) unlikely(p, chance float64) bool {
	lgamma := func(n int) float64 { v, _ := math.Lgamma(float64(n)); return v }
	k, others := float64(r.K), float64(r.N-r.K)
	exactly := lgamma(r.N+1) - lgamma(r.K+1) - lgamma(r.N-r.K+1) + k*math.Log(p) + others*math.Log1p(-p)
	return math.Log(float64(r.N+1))+exactly <= math.Log(chance)
}

// Times is how durations are distributed, in nanoseconds.
type Times struct {
	N      int           `json:"n"`
	Min    time.Duration `json:"min"`
	Median time.Duration `json:"median"`
	P95    time.Duration `json:"p95"` // the least that 95 % of them do not exceed
	Max    time.Duration `json:"max"`
}

// NewTimes says how durations are distributed; there must be one at least.
func NewTimes(all []time.Duration) Times {
	d := slices.Sorted(slices.Values(all))
	n := len(d)
	return Times{N: n, Min: d[0], Median: (d[(n-1)/2] + d[n/2]) / 2, P95: d[(95*n+99)/100-1], Max: d[n-1]}
}
