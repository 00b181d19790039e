package assertions

import (
	"math"
	"slices"
)

// point is one look: how much there was after how many events, or seconds.
type point struct{ x, y float64 }

// slope is a line through points, and the interval in which it is with 95 % confidence.
type slope struct{ mid, low, high float64 }

const (
	// z95 is the two-sided 95 % point of the normal distribution.
	z95 = 1.959964
	// mostPoints bounds the pairs that a slope is made of: of more points, as many are taken, evenly.
	mostPoints = 150
)

// theilSen is the median of the slopes between all pairs of points, which a few looks that are far off do not move, and its
// confidence interval after P. K. Sen (J. Am. Stat. Assoc. 63, 1968): the slopes so many ranks below and above the median
// as Kendall's score varies when there is no trend left. It is pure. The x of the points must rise.
func theilSen(points []point) (slope, bool) {
	points = thin(points)
	n := len(points)
	if n < 3 {
		return slope{}, false
	}
	slopes := make([]float64, 0, n*(n-1)/2)
	for i, a := range points {
		for _, b := range points[i+1:] {
			slopes = append(slopes, (b.y-a.y)/(b.x-a.x))
		}
	}
	slices.Sort(slopes)
	count := float64(n)
	ranks := z95 * math.Sqrt(count*(count-1)*(2*count+5)/18)
	below := max(int((float64(len(slopes))-ranks)/2)-1, 0) // rounded so that the interval is rather too wide
	mid := slopes[len(slopes)/2]
	if len(slopes)%2 == 0 {
		mid = (mid + slopes[len(slopes)/2-1]) / 2
	}
	return slope{mid, slopes[below], slopes[len(slopes)-1-below]}, true
}

func thin(points []point) []point {
	n := len(points)
	if n <= mostPoints {
		return points
	}
	out := make([]point, mostPoints)
	for i := range out {
		out[i] = points[i*(n-1)/(mostPoints-1)]
	}
	return out
}

// rising keeps what can be compared: looks at the same x become one, at the mean of their y. An x that falls is a counter
// that began again, because its program did: what came before belongs to another program.
func rising(points []point) []point {
	var out []point
	same := 0.0 // how many looks the last point of out stands for
	for _, p := range points {
		if len(out) == 0 || p.x > out[len(out)-1].x {
			out, same = append(out, p), 1
			continue
		}
		if p.x < out[len(out)-1].x {
			out, same = append(out[:0], p), 1
			continue
		}
		same++
		last := &out[len(out)-1]
		last.y += (p.y - last.y) / same
	}
	return out
}
