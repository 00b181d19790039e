package report

import (
	"bytes"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// pageView is what the template shows.
type pageView struct {
	Title    string
	Policy   template.HTML
	Style    pageStyle
	Scripts  []pageScript
	Licence  string
	Set      *setView // nil: there is one trial
	Trials   []trialView
	Stories  []storyView
	Runs     []runView
	Trouble  []string
	Data     pageData
	Nothing  string // why there is no trial
	HeadLine string
}

// pageData is what the page's script reads.
type pageData struct {
	Trials map[string]chartTrial `json:"trials"`
	Logs   map[string]string     `json:"logs"`
}

type storyView struct {
	Lab  string
	Text template.HTML
}

func pageOf(runs []*storedRun) pageView {
	s, st := scripts(), styles()
	v := pageView{Scripts: s, Style: st, Policy: policy(s, st), Licence: uplotLicence,
		Data: pageData{Trials: map[string]chartTrial{}, Logs: map[string]string{}}}
	var all []*runner.Outcome
	for _, r := range runs {
		for _, t := range r.trials {
			id := fmt.Sprintf("t%d", len(v.Trials)+1)
			tv, charts := trialOf(id, r, t)
			for i := range tv.Logs {
				v.Data.Logs[tv.Logs[i].ID] = tv.Logs[i].Packed
			}
			v.Data.Trials[id] = charts
			v.Trials = append(v.Trials, tv)
			all = append(all, t.outcome)
			v.addStory(t)
		}
		v.Runs = append(v.Runs, runOf(r))
		for _, trouble := range r.trouble {
			v.Trouble = append(v.Trouble, clean(trouble))
		}
	}
	v.Title = titleOf(runs)
	switch {
	case len(all) == 0:
		v.Nothing = "No trial was started: there is nothing to show. What happened is in the events of the run."
	case len(all) == 1:
		v.Trials[0].Open = true
	default:
		v.Set = setOf(runs, v.Trials)
		open := slices.IndexFunc(all, func(o *runner.Outcome) bool { return !o.AsExpected() })
		if open < 0 {
			open = slices.IndexFunc(all, func(o *runner.Outcome) bool { return o.Verdict == lab.Reproduced })
		}
		v.Trials[max(open, 0)].Open = true
	}
	return v
}

func titleOf(runs []*storedRun) string {
	var labs []string
	for _, r := range runs {
		if !slices.Contains(labs, clean(r.Lab)) {
			labs = append(labs, clean(r.Lab))
		}
	}
	return strings.Join(labs, ", ")
}

// addStory keeps each story once: the variants of a lab share one.
func (v *pageView) addStory(t *storedTrial) {
	if len(bytes.TrimSpace(t.story)) == 0 {
		return
	}
	text := storyHTML(t.story, t.lab.Title)
	for _, s := range v.Stories {
		if s.Lab == t.lab.Name && s.Text == text {
			return
		}
	}
	v.Stories = append(v.Stories, storyView{clean(t.lab.Name), text})
}
