package guest

import "time"

// beat is how often a pulse looks at the clock.
const beat = 20 * time.Millisecond

// pulse measures how late this process is woken while something goes on: how long the host kept it from running. What
// is slow in that time may be slow because of it.
func pulse() (stop func() time.Duration) {
	end, worst := make(chan struct{}), make(chan time.Duration)
	go func() {
		var most time.Duration
		timer := time.NewTimer(beat)
		defer timer.Stop()
		for due := time.Now().Add(beat); ; due = time.Now().Add(beat) {
			select {
			case <-timer.C:
				most = max(most, time.Since(due))
				timer.Reset(beat)
			case <-end:
				worst <- max(most, time.Since(due)) // negative before it was due
				return
			}
		}
	}()
	return func() time.Duration {
		close(end)
		return <-worst
	}
}
