package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/runner"
)

// setView is the index of several trials.
type setView struct {
	Headline string
	Variants []variantView
	Rows     []rowView
}

type variantView struct {
	Lab, Variant, Sign, Tone, Odds, Times string
}

type rowView struct {
	ID, Lab, Variant, Run, Sign, Tone, Verdict, Expect, Because, Took string
	Trial                                                             int
}

// setOf is the index of several trials: k of n for each variant, and a row for each trial.
func setOf(runs []*storedRun, trials []trialView) *setView {
	s := &setView{}
	at := 0
	good, bad, blind := 0, 0, 0
	judged := map[string][]*runner.Outcome{} // by what was run on what: trials of several runs count together
	var groups []string
	for _, r := range runs {
		group := clean(r.Lab)
		if len(runs) > 1 && r.Driver != "" {
			group += " on " + clean(r.Driver)
		}
		if !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
		for _, t := range r.trials {
			tv := trials[at]
			at++
			o := t.outcome
			switch tv.Tone {
			case "good":
				good++
			case "bad":
				bad++
			default:
				blind++
			}
			row := rowView{ID: tv.ID, Lab: tv.Lab, Variant: clean(t.lab.Variant.String()), Sign: tv.Sign, Tone: tv.Tone,
				Verdict: tv.Verdict, Expect: spoken(string(o.Expect)), Because: tv.Because, Took: tv.Took, Trial: o.Trial}
			if len(runs) > 1 {
				row.Run = strings.TrimSpace(clean(string(r.ID)) + " " + clean(r.Driver))
			}
			s.Rows = append(s.Rows, row)
			if t.judged {
				judged[group] = append(judged[group], o)
			}
		}
	}
	for _, group := range groups {
		for _, v := range runner.Summarise(group, "", judged[group]).Variants {
			if v.AsExpected.N+v.Inconclusive < 2 {
				continue
			}
			vv := variantView{Lab: group, Variant: variantName(v.Variant), Sign: "✓", Tone: "good", Odds: odds(v), Times: toSymptoms(v)}
			if figures := (Style{}).measured(v.Figures); len(figures) > 0 {
				vv.Times += "; measured (reported): " + strings.Join(figures, "; ")
			}
			switch {
			case v.AsExpected.K < v.AsExpected.N:
				vv.Sign, vv.Tone = "✗", "bad"
			case v.Inconclusive > 0:
				vv.Sign, vv.Tone = "?", "blind"
			}
			s.Variants = append(s.Variants, vv)
		}
	}
	s.Headline = fmt.Sprintf("%d of %d trials got the verdict that their lab expects", good, len(trials))
	if bad > 0 {
		s.Headline += fmt.Sprintf(", %d did not", bad)
	}
	if blind > 0 {
		s.Headline += fmt.Sprintf(", %d could not be judged", blind)
	}
	s.Headline += "."
	return s
}
