package report

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Duration is a time for people: "640 ms", "18.4 s", "1 m 12 s", "2 h 05 m". Whole seconds below a minute have no
// decimal, so limits read as they were written: "30 s".
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-d)
	}
	ms := float64(d) / float64(time.Millisecond)
	switch whole := d.Round(time.Second); {
	case d == 0:
		return "0 s"
	case ms < 9.95:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 999.5:
		return fmt.Sprintf("%.0f ms", ms)
	case d < time.Minute && d%time.Second == 0:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 59950*time.Millisecond:
		return fmt.Sprintf("%.1f s", math.Round(d.Seconds()*10)/10)
	case whole < time.Hour:
		return fmt.Sprintf("%d m %02d s", whole/time.Minute, whole%time.Minute/time.Second)
	default:
		whole = d.Round(time.Minute)
		return fmt.Sprintf("%d h %02d m", whole/time.Hour, whole%time.Hour/time.Minute)
	}
}

// running is a time that is still growing: in whole seconds, so that a live view stays calm.
func running(d time.Duration) string {
	return Duration(max(0, d).Truncate(time.Second))
}

// median of an even number of times is the mean of the two in the middle; of none, 0.
func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	i := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[i]
	}
	return (sorted[i-1] + sorted[i]) / 2
}
