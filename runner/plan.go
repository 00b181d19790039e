package runner

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/saigen-lab/saigen/lab"
)

// plan is which trials are to be run, and in what order. Its methods may be called at any time.
type plan struct {
	mu       sync.Mutex
	variants []*planned // as declared
	order    []*planned // whose trials are still to be handed out
}

// planned is one variant of a plan.
type planned struct {
	l        *lab.Lab
	gate     Gate
	most     int        // trials, inconclusive ones not counted
	outcomes []*Outcome // by trial; nil: not ended
	over     bool       // no more of its trials are handed out
}

// AsNeeded, for a number of trials, is one of a variant that must get its verdict every time, and of one with a rate as many as decide it, at
// most MostTrials.
const AsNeeded = 0

// MostTrials is how often a variant is run at the most where nobody says how often.
const MostTrials = 100

// newPlan plans repeat trials of each variant, or AsNeeded, as declared or in an order that the seed shuffles.
func newPlan(labs []*lab.Lab, repeat int, gate Gate, seed uint64) *plan {
	p := &plan{}
	for _, l := range labs {
		v := &planned{l: l, gate: gate, most: repeat}
		if repeat == AsNeeded {
			if v.most = 1; l.Rate != "" {
				v.most, v.gate.Until = MostTrials, gate.confidence()
			}
		}
		p.variants = append(p.variants, v)
		p.order = append(p.order, slices.Repeat([]*planned{v}, v.most)...)
	}
	if seed != 0 {
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(p.order), func(i, j int) { p.order[i], p.order[j] = p.order[j], p.order[i] })
	}
	return p
}

// told is how many trials there will be, and the confidence at which some of them end before; 0: none does.
func (p *plan) told() (trials int, until float64) {
	for _, v := range p.variants {
		trials, until = trials+v.most, max(until, v.gate.Until)
	}
	return trials, until
}

// next hands out a trial: a variant, and which of its trials it is, from 1. nil: there is none left.
func (p *plan) next() (*planned, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.order) > 0 {
		v := p.order[0]
		p.order = p.order[1:]
		if !v.over {
			v.outcomes = append(v.outcomes, nil)
			return v, len(v.outcomes)
		}
	}
	return nil, 0
}

// coming is the lab of the trial that next is going to hand out, by what is known now; nil: none.
func (p *plan) coming() *lab.Lab {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.order {
		if !v.over {
			return v.l
		}
	}
	return nil
}

// ended takes in a trial. It says why no more trials of the variant are run, when this one is the reason.
func (p *plan) ended(v *planned, n int, o *Outcome) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	v.outcomes[n-1] = o
	if v.over {
		return ""
	}
	var result VariantResult
	for _, o := range v.outcomes {
		if o != nil {
			result.count(o)
		}
	}
	got, blind := RateAt(result.AsExpected.K, result.AsExpected.N, v.gate.confidence()), result.Inconclusive
	left := slices.Contains(p.order, v)
	switch {
	case tooBlind(blind, got.N):
		v.over = true
		if left {
			return fmt.Sprintf("given up: %d trials were inconclusive, and %d were not", blind, got.N)
		}
	case v.gate.Until == 0:
		if o.Verdict == lab.Inconclusive && blind <= v.gate.Again {
			p.order = append(p.order, v)
			return fmt.Sprintf("inconclusive, so it is tried again: %s", o.Because)
		}
	case v.gate.enough(v.l.Rate, got):
		v.over = true
		if left {
			return fmt.Sprintf("decided: %s in %d of %d trials (%.3g %% interval: %.2f to %.2f)", v.l.Expect, got.K, got.N, 100*v.gate.Until, got.Low, got.High)
		}
	case o.Verdict == lab.Inconclusive: // it decides nothing: another one takes its place
		p.order = append(p.order, v)
	}
	return ""
}

// outcomes are those of the trials that have ended, as declared.
func (p *plan) outcomes() []*Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*Outcome
	for _, v := range p.variants {
		for _, o := range v.outcomes {
			if o != nil {
				out = append(out, o)
			}
		}
	}
	return out
}
