package runner

import (
	"fmt"

	"github.com/saigen-lab/saigen/lab"
)

// Gate says when the trials of a variant are enough, and what they say together. The zero value takes as many as were asked for.
type Gate struct {
	// Until, between 0 and 1, is the confidence at which trials end as soon as they decide; 0: they do not end early, and the
	// interval is that of 95 %.
	Until float64
	// Again is how many inconclusive trials of a variant are made good by another one each, where trials do not end early.
	Again int
}

// Decision is what the conclusive trials of a variant say of the rate at which it must get its expected verdict.
type Decision string

// The decisions.
const (
	Met       Decision = "met"
	Missed    Decision = "missed"
	Undecided Decision = "undecided" // they are too few, or too many others were inconclusive
)

// usual is how often a verdict must be got at the least to be called the usual one, where a lab gives no rate.
const usual = 0.5

func (g Gate) confidence() float64 {
	if g.Until > 0 {
		return g.Until
	}
	return usualConfidence
}

// decide compares how often the verdict was got with how often it must be. Where the lab gives no rate it must be got every
// time: the first other verdict decides, and with Until so many equal ones that it is the usual one.
func (g Gate) decide(want lab.Rate, got Rate) Decision {
	low, high := usual, 1.0
	switch {
	case got.N == 0:
		return Undecided
	case want == "" && got.K < got.N:
		return Missed
	case want == "" && g.Until == 0:
		return Met
	case want != "":
		low, high = want.Bounds()
	}
	switch {
	case got.Low >= low && got.High <= high:
		return Met
	case got.High < low || got.Low > high:
		return Missed
	}
	return Undecided
}

// enough says whether trials decide although somebody looked after each of them. Whoever looks often enough sees any interval lie within a
// rate at some time: at a true rate of 0.2, the one of 95 % lies above 0.2 at some time in the first 30 trials of 3 runs in 10. So a bound counts as passed only
// when it is unlikely to be the true rate, however often one has looked.
func (g Gate) enough(want lab.Rate, got Rate) bool {
	decision := g.decide(want, got)
	if want == "" || decision == Undecided {
		return decision != Undecided
	}
	low, high := want.Bounds()
	passed := func(bound float64) bool { return got.unlikely(bound, 1-g.confidence()) }
	if decision == Missed {
		return got.High < low && passed(low) || got.Low > high && passed(high)
	}
	return (low == 0 || passed(low)) && (high == 1 || passed(high))
}

// fewInconclusive is how many inconclusive trials a variant may always have.
const fewInconclusive = 3

// tooBlind says whether a variant is given up, because so many of its trials were inconclusive.
func tooBlind(inconclusive, conclusive int) bool {
	return inconclusive > fewInconclusive && 4*inconclusive > conclusive
}

// judge sets the decision of a variant from its counts, and says what it rests on where a rate or a confidence was asked for.
func (g Gate) judge(v *VariantResult) {
	v.Decision = g.decide(v.Rate, v.AsExpected)
	gated := v.Rate != "" || g.Until > 0
	switch {
	case v.Decision == Missed:
	case tooBlind(v.Inconclusive, v.AsExpected.N):
		v.Decision = Undecided
		v.Because = fmt.Sprintf("given up: %d trials were inconclusive, and %d were not; the last one: %s", v.Inconclusive, v.AsExpected.N, v.Because)
		return
	case !gated && v.Inconclusive > g.Again:
		v.Decision = Undecided
	}
	if v.AsExpected.N == 0 || !gated {
		return
	}
	got := fmt.Sprintf("%s in %d of %d trials (%.3g %% interval: %.2f to %.2f)", v.Expect, v.AsExpected.K, v.AsExpected.N, 100*g.confidence(), v.AsExpected.Low, v.AsExpected.High)
	switch {
	case v.Decision == Undecided && v.Rate != "":
		v.Because = fmt.Sprintf("%s does not decide whether the rate is %s: more trials are needed", got, v.Rate)
	case v.Decision == Undecided:
		v.Because = got + " does not make it the usual verdict: more trials are needed"
	case v.Decision == Missed && v.Rate != "":
		v.Because = fmt.Sprintf("%s, and the rate must be %s", got, v.Rate)
	case v.Rate != "":
		v.Because = fmt.Sprintf("%s, as the rate must be %s", got, v.Rate)
	}
}
