package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// attempt is one trial under way.
type attempt struct {
	r    *Runner
	l    *lab.Lab
	n    int             // 1 is the first repetition
	slot int             // of those that run side by side; 1 is the first
	next func() *lab.Lab // which trial comes after it, by what is known now; nil: none
	ev   *evidence
	tell func(Event)
	clock
}

// newAttempt tells that a trial starts and makes its folder.
func (r *Runner) newAttempt(l *lab.Lab, n, slot int) (*attempt, error) {
	t := &attempt{r: r, l: l, n: n, slot: slot, clock: newClock(r.Calendar)}
	t.tell = func(e Event) {
		e.Variant, e.Trial = l.Variant.String(), n
		r.tell(e)
	}
	t.tell(Event{Type: TrialStarted, Text: l.Title, Folder: trialFolder(l.Variant, n)})
	var err error
	t.ev, err = newEvidence(r.Folder, l, n)
	return t, err
}

// trial executes both arms of one variant and judges them. An error means that ctx ended, or that the evidence could
// not be kept.
func (r *Runner) trial(ctx context.Context, l *lab.Lab, n, slot int, next func() *lab.Lab) (*Outcome, error) {
	began := time.Now()
	t, err := r.newAttempt(l, n, slot)
	if err != nil {
		return nil, err
	}
	t.next = next
	defer t.ev.close()

	record := &Record{Observations: map[string]map[string][]lab.Observation{}}
	err = t.arms(ctx, record)

	o := Judge(l, record)
	o.Trial, o.Started, o.Took, o.Folder = n, began, time.Since(began), t.ev.folder
	o.Drift = r.drift(l)
	if e := (*lab.InfraError)(nil); errors.As(err, &e) {
		o.Hint, o.Tail = r.hint(err, e.Hint), e.Tail
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err := t.ev.whole(); err != nil { // half of the evidence proves nothing
		return nil, err
	}
	if err := t.ev.json(VerdictFile, &o); err != nil {
		return nil, err
	}
	t.tell(Event{Type: TrialEnded, Outcome: &o})
	return &o, nil
}

// All executes every given variant of a lab repeat times, or AsNeeded, up to Parallel trials at once; with Until, at most repeat times,
// inconclusive trials not counted; with Again, so many inconclusive ones of a variant are made good. It stops early when ctx ends or machines are kept. The outcomes of the trials that were
// completed are returned in the order in which they are declared, with ctx's error, or with what kept the evidence from
// being written: a trial without it does not count.
func (r *Runner) All(ctx context.Context, labs []*lab.Lab, repeat int) (*Summary, error) {
	began := time.Now()
	p := newPlan(labs, repeat, r.gate(), r.Seed)
	trials, until := p.told()
	r.tell(Event{Type: RunStarted, Text: string(r.Run), Trials: trials, Seed: r.Seed, Until: until})
	outcomes, lost := r.trials(ctx, labs, p)
	r.loads.wait()
	r.forget(ctx)
	s := r.gate().Summarise(labs[0].Name, r.Run, outcomes)
	s.Took, s.Seed = time.Since(began), r.Seed
	if ctx.Err() != nil {
		s.Exit = ExitInterrupted
	}
	if ctx.Err() == nil && lost != nil {
		return s, infra(lost, "cannot keep the evidence of "+labs[0].Name)
	}
	return s, ctx.Err()
}

func (r *Runner) gate() Gate { return Gate{Until: r.Until, Again: r.Again} }

// trials runs them in as many slots as there is room for. The error is the one that stopped all.
func (r *Runner) trials(ctx context.Context, labs []*lab.Lab, p *plan) ([]*Outcome, error) {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	for slot := range min(r.slots(labs), len(p.order)) {
		all.Go(func() {
			for running.Err() == nil && r.keptArm() == nil {
				v, n := p.next()
				if v == nil {
					return
				}
				o, err := r.trial(running, v.l, n, slot+1, p.coming)
				if err != nil {
					stop(err) // the first one is what counts: the others are cancelled by it
					return
				}
				if why := p.ended(v, n, o); why != "" {
					r.tell(Event{Type: Step, Variant: v.l.Variant.String(), Text: why})
				}
			}
		})
	}
	all.Wait()
	return p.outcomes(), context.Cause(running)
}

// sideBySide says whether the host has a core for every processor of both arms' machines. Where it has not, each arm would
// slow the other down, and none could say what a slow page is owed to. Machines that share the host's processors do not
// count: most of the time both arms wait.
func (r *Runner) sideBySide(l *lab.Lab) bool {
	h, ok := r.Driver.(lab.Hypervisor)
	if !ok || r.Capacity == nil {
		return true
	}
	_, cores := r.Capacity()
	return cores == 0 || 2*r.processors(h, l) <= cores
}

func (r *Runner) processors(h lab.Hypervisor, l *lab.Lab) int {
	n := 0
	for _, m := range l.Machines {
		n += h.Processors(m)
	}
	return n
}

// usualMemory is what a machine is taken to need that declares no memory.
const usualMemory = 1 << 30

// usualCores is what a machine is taken to need that shares the host's processors and declares no CPUs: it waits for most of
// the time. Two trials of labs/stale-dns side by side left two cores idle for half of it.
const usualCores = 0.5

// slots is how many trials may run side by side: no more than there is memory for in both arms' machines, and a core for
// every CPU of a trial's machines. The two arms share the cores: most of the time both of them wait.
func (r *Runner) slots(labs []*lab.Lab) int {
	n := max(1, r.Parallel)
	if n == 1 || r.Capacity == nil {
		return n
	}
	var needMemory int64
	var needCores float64
	for _, l := range labs {
		var memory int64
		var cores float64
		for _, m := range l.Machines {
			size := m.Memory.Bytes()
			if size == 0 {
				size = usualMemory
			}
			memory, cores = memory+2*size, cores+max(usualCores, float64(m.CPUs))
		}
		if h, ok := r.Driver.(lab.Hypervisor); ok {
			cores = float64(r.processors(h, l))
		}
		needMemory, needCores = max(needMemory, memory), max(needCores, cores)
	}
	memory, cores := r.Capacity()
	why := ""
	if fit := int(memory / max(1, needMemory)); memory > 0 && fit < n {
		n, why = max(1, fit), fmt.Sprintf("each needs %d MiB of memory for the machines of its two arms, and the host has %d MiB", needMemory>>20, memory>>20)
	}
	if fit := int(float64(cores) / max(usualCores, needCores)); cores > 0 && fit < n {
		n, why = max(1, fit), fmt.Sprintf("each needs %g of the host's %d cores", needCores, cores)
	}
	if why != "" {
		r.tell(Event{Type: Warning, Text: fmt.Sprintf("%d trials side by side instead of %d: %s", n, r.Parallel, why)})
	}
	return n
}
