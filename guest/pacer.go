package guest

import (
	"context"
	"sync"
	"syscall"
	"time"
)

// A look costs the machine something, and a slow machine more: an emulated processor needs a hundred times as long for a
// TLS handshake. pacer spreads the looks of all probes of a machine, so that together they take no more than a part of
// one of its processors: who looks must not become the load. On hardware it never has to.
type pacer struct {
	used func() time.Duration // processor time of this process so far

	mu     sync.Mutex
	next   time.Time     // when the next look may begin
	cost   time.Duration // of one look
	active int           // looks under way
	before time.Duration // used, when that was last looked at
	spent  time.Duration // while looks were under way, since the cost was last measured
	looks  int           // that ended since then
	since  time.Time
}

const (
	share       = 4                      // looks may take a quarter of a processor
	dearest     = 250 * time.Millisecond // what else the agent does meanwhile is in the measure: a look is not taken to cost more
	measureLook = time.Second            // how often the cost is measured
)

func newPacer(used func() time.Duration) *pacer { return &pacer{used: used, since: time.Now()} }

// begin returns when the next look may begin; looks begin in the order in which they asked. end must follow, unless
// ctx ended.
func (p *pacer) begin(ctx context.Context) error {
	p.mu.Lock()
	at := time.Now()
	if p.next.After(at) {
		at = p.next
	}
	p.next = at.Add(p.cost * share)
	p.mu.Unlock()
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.active == 0 {
		p.before = p.used()
	}
	p.active++
	return nil
}

// end counts a look that has ended.
func (p *pacer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	used := p.used()
	p.spent, p.before = p.spent+used-p.before, used
	p.active--
	p.looks++
	if now := time.Now(); now.Sub(p.since) >= measureLook {
		p.cost = min(dearest, (p.cost+p.spent/time.Duration(p.looks))/2) // one look that is dear by chance counts half
		p.spent, p.looks, p.since = 0, 0, now
	}
}

// processorTime is what this process has used of all processors, in user and kernel mode: see getrusage(2).
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
