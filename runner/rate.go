package runner

import "math"

// Rate is k of n with its 95 % Wilson score interval.
type Rate struct {
	K    int     `json:"k"`
	N    int     `json:"n"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// NewRate computes the interval; see E. B. Wilson, J. Am. Stat. Assoc. 22 (1927), 209–212. With n = 0 nothing is
// known: 0 to 1.
func NewRate(k, n int) Rate {
	if n == 0 {
		return Rate{High: 1}
	}
	const z = 1.959963984540054 // the normal distribution's 97.5 % point
	p, m := float64(k)/float64(n), float64(n)
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return Rate{K: k, N: n, Low: max(0, centre-half), High: min(1, centre+half)}
}
