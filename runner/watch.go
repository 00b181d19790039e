package runner

import (
	"context"
	"errors"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

var errTimeout = errors.New("timed out")

func (a *arm) probe(s lab.Assertion) lab.Probe {
	p := lab.Probe{Address: s.Address(), Kind: s.Kind, Settings: s.Settings, Every: s.Every.Value(), Timeout: longest(s)}
	for _, st := range a.l.Stacks {
		if st.Machine == s.Machine {
			p.Stacks = append(p.Stacks, st)
		}
	}
	return p
}

// longest is how long one look of an assertion may take.
func longest(s lab.Assertion) time.Duration {
	if p, ok := s.Do.(lab.Patient); ok {
		return p.Longest()
	}
	return lookTimeout
}

// observed takes in one observation.
func (a *arm) observed(s lab.Assertion, o lab.Observation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o.At = a.hostTime(s.Machine, o)
	a.stepped(s.Machine, o.Stepped)
	o.Late = max(o.Late, a.waits[s.Machine].during(o))
	phase := a.current()
	a.seen[s.Address()] = append(a.seen[s.Address()], o)
	began := len(a.phases) - 1
	for began > 0 && o.At.Before(a.phases[began].Start) {
		began-- // a look that began in a phase before counts there
	}
	counts := failure(o) == "" && !o.At.Before(phase.Start)
	seen, _ := during(a.seen[s.Address()], a.phases[began])
	holds := len(seen) > 0 && s.Do.Holds(seen)
	// Each look is judged once, when it comes: all of them again at each that comes took longer than the looks themselves.
	if holds && s.Role == "symptom" && !overdue(o, a.phases[began], s) {
		a.heldIn[symptomIn{s.Address(), began}] = true
	}
	if err := a.ev.observation(a.name, phase.Name(), s.Address(), o); err != nil && a.lost == nil {
		a.lost = infra(err, "cannot keep the evidence")
	}
	a.emit(Event{Type: Observed, Subject: s.Address(), Observation: &o, Holds: holds})
	switch {
	case !counts:
	case phase.Kind == Paused, s.Role == "symptom" && (phase.Kind == Inject || phase.Kind == Treat): // what comes and goes there is no news
	case s.Role == "symptom" && holds && !a.appearedNow[s.Address()]:
		a.appearedNow[s.Address()] = true
		a.emit(Event{Type: Appeared, Subject: s.Address(), Text: explain(s.Do, seen), Holds: true})
	case s.Role == "invariant" && !holds && !a.appearedNow[s.Address()]:
		a.appearedNow[s.Address()] = true
		a.emit(Event{Type: Broken, Subject: s.Address(), Text: explain(s.Do, seen)})
	}
	a.wake()
}

func (a *arm) lose(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lost == nil {
		a.lost = err
	}
	a.wake()
}

func (a *arm) wake() {
	close(a.news)
	a.news = make(chan struct{})
}

// wait returns nil when done says so; it asks again at every piece of news. done is called with a.mu held.
func (a *arm) wait(ctx context.Context, most time.Duration, done func() bool) error {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		a.mu.Lock()
		ok, lost, news := done(), a.lost, a.news
		a.mu.Unlock()
		switch {
		case lost != nil:
			return lost
		case ok:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return errTimeout
		case <-news:
		}
	}
}

func (a *arm) phase(kind PhaseKind, remedy string, budget time.Duration) {
	a.closePhase()
	a.mu.Lock()
	a.phases = append(a.phases, Phase{Kind: kind, Remedy: remedy, Start: a.now()})
	a.appearedNow = map[string]bool{}
	a.mu.Unlock()
	a.emit(Event{Type: PhaseStarted, Budget: budget})
}

func (a *arm) closePhase() {
	a.mu.Lock()
	open := len(a.phases) > 0 && a.phases[len(a.phases)-1].End.IsZero()
	if open {
		a.phases[len(a.phases)-1].End = a.now()
	}
	a.mu.Unlock()
	if open {
		a.emit(Event{Type: PhaseEnded})
	}
}

// stopWatching ends the sampling and waits until no observation can arrive any more.
func (a *arm) stopWatching() {
	if a.stop != nil {
		a.stop()
		a.watchers.Wait()
	}
}

func (a *arm) current() Phase { return a.phases[len(a.phases)-1] }

// holdsNow says whether a symptom has held at some time of the current phase. a.mu is held.
func (a *arm) holdsNow(s lab.Assertion) bool {
	return a.heldIn[symptomIn{s.Address(), len(a.phases) - 1}]
}

// invariantsSeen says whether every invariant has been looked at in the current phase. a.mu is held.
func (a *arm) invariantsSeen() bool {
	for _, s := range a.l.Invariants {
		if !a.lookedAfter(s, a.current().Start) {
			return false
		}
	}
	return true
}

// anyHolds says whether a symptom has held at some time of the current phase. a.mu is held.
func (a *arm) anyHolds() bool {
	for _, s := range a.l.Symptoms {
		if a.holdsNow(s) {
			return true
		}
	}
	return false
}

func (a *arm) anyHoldsLocked() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.anyHolds()
}

// allAppeared says whether every symptom has appeared in the fault phase.
func (a *arm) allAppeared() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, p := range a.phases {
		if p.Kind != InForce {
			continue
		}
		for _, s := range a.l.Symptoms {
			if !a.heldIn[symptomIn{s.Address(), i}] {
				return false
			}
		}
	}
	return true
}

// lookedAfter says whether a look that began after t has been heard of; looks of one assertion do not overlap, so
// every earlier one has been too. a.mu is held.
func (a *arm) lookedAfter(s lab.Assertion, t time.Time) bool {
	all := a.seen[s.Address()]
	return len(all) > 0 && all[len(all)-1].At.After(t)
}

func (a *arm) lastError(address string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.seen[address]
	if len(all) == 0 {
		return "no look has ended"
	}
	return failure(all[len(all)-1])
}
