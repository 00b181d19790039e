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
	looks  int           // that ended since the cost was last measured
	since  time.Time
	before time.Duration // used, then
}

const (
	share       = 4           // looks may take a quarter of a processor
	measureLook = time.Second // how often the cost is measured
)

func newPacer(used func() time.Duration) *pacer {
	return &pacer{used: used, since: time.Now(), before: used()}
}

// wait returns when the next look may begin; looks begin in the order in which they asked.
func (p *pacer) wait(ctx context.Context) error {
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
		return nil
	}
}

// looked counts a look that has ended.
func (p *pacer) looked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks++
	now := time.Now()
	if now.Sub(p.since) < measureLook {
		return
	}
	used := p.used()
	p.cost = (p.cost + (used-p.before)/time.Duration(p.looks)) / 2 // one look that is dear by chance counts half
	p.looks, p.since, p.before = 0, now, used
}

// processorTime is what this process has used of all processors, in user and kernel mode: see getrusage(2).
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
