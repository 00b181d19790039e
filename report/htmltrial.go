package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

type trialView struct {
	ID, Lab, Title, Name string
	Sign, Tone, Verdict  string
	AsExpected           string
	Because, Hint, Tail  string
	When, Took, Folder   string
	Main                 *mainView
	Measured             []measuredView
	Symptoms, Invariants []probeView
	Remedies             []remedyView
	Logs                 []logView
	Matches              int
	Steps                []stepView
	Drift                []string
	Unseen               []string // probes that never looked
	Troubled             bool     // it proves nothing: what was done and what was logged last matter most
	Phases               []phaseButton
	Begun                []string // how each arm came to its baseline
	Commands             []string
	Open                 bool
}

// mainView is the one probe that tells the incident best, with one figure for each part of the proof.
type mainView struct {
	Probe   probeView
	What    string
	Figures []figureView
}

// measuredView is one figure beside that of the incident's report.
type measuredView struct{ Name, Value, Incident, Of string }

type figureView struct{ Head, Value, Text, Tone string }

type probeView struct {
	ID, Name, Address, Kind, Every string
	Sign, Tone, Outcome, Text      string
	Settings                       []string
	Arms                           []armPlot
	Main                           bool
}

type armPlot struct {
	Arm, Label string
	Looks      int
}

type remedyView struct {
	Name, Sign, Tone, Did, Why string
	Nth                        int
}

// phaseButton shows one part of the time axis.
type phaseButton struct {
	Label      string
	Start, End int64
}

func trialOf(id string, r *storedRun, t *storedTrial) (trialView, chartTrial) {
	o := t.outcome
	probes := probesOf(t)
	charts := chartsOf(id, t, probes)
	v := trialView{ID: id, Lab: clean(t.lab.Name), Title: clean(t.lab.Title), Name: trialTitle(r, t),
		Because: sentence(clean(o.Because)), Hint: clean(o.Hint), Tail: strings.Join(lastLines(o.Tail, 40), "\n"),
		When: o.Started.UTC().Format("2 January 2006, 15:04 UTC"), Took: Duration(o.Took), Folder: clean(o.Folder),
		Steps: stepsOf(t), Commands: commandsOf(r, t), Troubled: !t.judged || o.Verdict == lab.Inconclusive}
	v.Sign, v.Tone, v.Verdict, v.AsExpected = verdictWords(o, t.judged)
	for _, a := range o.Arms {
		if a.Begun != nil {
			v.Begun = append(v.Begun, clean(a.Name)+" arm: "+begunWords(*a.Begun))
		}
	}
	for _, d := range o.Drift {
		v.Drift = append(v.Drift, clean(d))
	}
	figures := spreadsOf(o)
	if !slices.ContainsFunc(figures, func(s runner.Spread) bool { return s.N > 0 }) {
		figures = nil // it did not come that far
	}
	for _, f := range figures {
		v.Measured = append(v.Measured, measuredView{figureName(f.Figure), Style{}.spreadText(f), clean(f.Incident), spoken(f.Address[strings.LastIndexByte(f.Address, '.')+1:])})
	}
	main := mainProbe(probes)
	for i, p := range probes {
		pv := probeOf(probeID(id, i), p, t)
		switch {
		case !seenAnything(p):
			v.Unseen = append(v.Unseen, pv.Name)
			continue
		case i == main:
			pv.Main = true
			v.Main = mainOf(pv, p, t)
		}
		if p.a.Role == "invariant" {
			v.Invariants = append(v.Invariants, pv)
		} else {
			v.Symptoms = append(v.Symptoms, pv)
		}
	}
	for i, rem := range o.Remedies {
		rv := remedyView{Nth: i + 1, Name: spoken(rem.Name), Sign: "✓", Tone: "good", Did: "cured", Why: clean(rem.Why)}
		if !rem.Cured {
			rv.Sign, rv.Tone, rv.Did = "✗", "plain", "did not cure"
		}
		if rem.Cured != rem.Cures {
			rv.Tone, rv.Did = "bad", rv.Did+", against its declaration"
		} else if !rem.Cured {
			rv.Did += ", as declared"
		}
		v.Remedies = append(v.Remedies, rv)
	}
	v.Logs = logsOf(id, t, probes)
	if v.Troubled && v.Tail == "" {
		v.Tail = lastWords(v.Logs)
	}
	for _, l := range v.Logs {
		v.Matches += len(l.Matches) + l.More
	}
	v.Phases = buttonsOf(charts)
	return v, charts
}

// begunWords says how an arm came to its baseline.
func begunWords(b runner.Begun) string {
	words := "started afresh"
	if b.Snapshot != "" {
		words = "restored from a snapshot"
		if b.Made {
			words = "restored from the snapshot that it made"
		}
	}
	for _, part := range []struct {
		what string
		took time.Duration
	}{{"boot", b.Boot}, {"stacks", b.Stacks}, {"ready", b.Ready}, {"save", b.Save}, {"restore", b.Restore}, {"ready again", b.Again}} {
		if part.took > 0 {
			words += ", " + part.what + " " + Duration(part.took)
		}
	}
	return words
}

func probeID(trial string, i int) string { return fmt.Sprintf("%s-p%d", trial, i) }

func trialTitle(r *storedRun, t *storedTrial) string {
	name := clean(t.lab.Variant.String())
	if r.WithoutFaults {
		name = strings.TrimSpace(name + " without its faults")
	}
	for _, other := range r.trials {
		if other != t && other.lab.Variant.String() == t.lab.Variant.String() {
			return strings.TrimSpace(fmt.Sprintf("%s trial %d", name, t.outcome.Trial))
		}
	}
	return name
}

// sentence makes a reason a sentence; an address at its beginning stays as it is.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	if word, _, _ := strings.Cut(s, " "); !strings.ContainsAny(word, "._:/") {
		first, n := utf8.DecodeRuneInString(s)
		s = string(unicode.ToUpper(first)) + s[n:]
	}
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

func verdictWords(o *runner.Outcome, judged bool) (sign, tone, verdict, expected string) {
	verdict = spoken(string(o.Verdict))
	expected = "expected: " + spoken(string(o.Expect))
	switch {
	case !judged:
		return "?", "blind", "no verdict", expected
	case o.Verdict == lab.Inconclusive:
		return "?", "blind", verdict, expected
	case o.AsExpected():
		return "✓", "good", verdict, "as expected"
	}
	return "✗", "bad", verdict, expected
}

// mainProbe is the symptom that tells the incident best: how long people waited, and with the reason for it if there is
// one.
func mainProbe(all []probe) int {
	best, rank := -1, -1
	for i, p := range all {
		n := 0
		switch {
		case p.a.Role != "symptom":
			continue
		case p.d.steps != nil:
			n = 3
		case p.d.time:
			n = 2
		case p.d.value != "":
			n = 1
		}
		if n > rank {
			best, rank = i, n
		}
	}
	return best
}

func seenAnything(p probe) bool {
	for _, looks := range p.looks {
		if len(looks) > 0 {
			return true
		}
	}
	return false
}

func probeOf(id string, p probe, t *storedTrial) probeView {
	v := probeView{ID: id, Name: spoken(p.a.Name), Address: clean(p.a.Address()), Kind: clean(p.a.Kind), Every: string(p.a.Every), Settings: described(p.a.Settings)}
	for _, a := range t.outcome.Arms {
		if len(p.looks[a.Name]) == 0 {
			continue
		}
		label := "with the fault"
		if a.Name == runner.Control {
			label = "without the fault"
		}
		v.Arms = append(v.Arms, armPlot{a.Name, label, len(p.looks[a.Name])})
	}
	v.Sign, v.Tone, v.Outcome = "?", "blind", "not judged"
	for _, s := range t.outcome.Symptoms {
		if s.Address != p.a.Address() {
			continue
		}
		switch v.Text = clean(s.Last); {
		case s.CouldNot != "":
			v.Outcome, v.Text = "could not look", clean(s.CouldNot)
		case s.InControl:
			v.Sign, v.Tone, v.Outcome, v.Text = "✗", "bad", "there without the fault", clean(s.Control)
		case s.Appeared:
			v.Sign, v.Tone, v.Outcome = "◆", "there", "appeared "+Duration(s.After)+" after the fault was in force"
		default:
			v.Sign, v.Tone, v.Outcome = "○", "plain", "never appeared"
		}
	}
	for _, inv := range t.outcome.Invariants {
		if inv.Address != p.a.Address() {
			continue
		}
		switch v.Text = clean(inv.Last); {
		case inv.CouldNot != "":
			v.Outcome, v.Text = "could not look", clean(inv.CouldNot)
		case inv.Held:
			v.Sign, v.Tone, v.Outcome = "✓", "good", "held all the time"
		default:
			v.Sign, v.Tone, v.Outcome = "✗", "bad", "broke in the "+clean(inv.BrokeIn)
		}
	}
	return v
}

// mainOf makes the three figures: without the fault, with it, after the remedy.
func mainOf(pv probeView, p probe, t *storedTrial) *mainView {
	o := t.outcome
	m := &mainView{Probe: pv, What: mainLabel(p)}
	curing := ""
	for _, r := range o.Remedies {
		if r.Cured || curing == "" {
			curing = r.Name
		}
	}
	texts := runner.SymptomResult{}
	for _, s := range o.Symptoms {
		if s.Address == p.a.Address() {
			texts = s
		}
	}
	values := map[string][]float64{}
	for _, a := range o.Arms {
		add := func(key string, kind runner.PhaseKind, remedy string) {
			values[key] = append(values[key], p.during(a, func(ph runner.Phase) bool { return ph.Kind == kind && ph.Remedy == remedy })...)
		}
		add("without", runner.Baseline, "")
		add("without", runner.Hold, "")
		add("with", runner.InForce, "")
		add("after", runner.Soak, curing)
	}
	figure := func(key, head, text, tone string) {
		f := figureView{Head: head, Value: "–", Text: clean(text), Tone: tone}
		if all := values[key]; len(all) > 0 {
			f.Value = p.d.words(p.d.extreme(all))
			if p.d.page {
				f.Text = fmt.Sprintf("median %s of %s", p.d.words(middle(all)), plural(len(all), "page"))
				if tone == "there" && p.d.steps != nil {
					f.Text += "; " + clean(text)
				}
			}
		}
		m.Figures = append(m.Figures, f)
	}
	figure("without", "without the fault", texts.Control, "calm")
	figure("with", "with the fault", texts.Last, map[bool]string{true: "there", false: "calm"}[texts.Appeared])
	if curing != "" {
		figure("after", "after “"+spoken(curing)+"”", texts.AfterCure, "calm")
	}
	return m
}

// middle is the median; all is not empty.
func middle(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)-1)/2]
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func mainLabel(p probe) string {
	if p.d.page {
		return "The slowest page"
	}
	return "The highest number of " + p.d.label
}

// buttonsOf are the parts of a trial that are worth a closer look.
func buttonsOf(c chartTrial) []phaseButton {
	out := []phaseButton{{"whole run", 0, c.End}}
	add := func(label string, kinds ...string) {
		from, to := int64(math.MaxInt64), int64(0)
		for _, p := range c.Phases[runner.Fault] {
			if slices.Contains(kinds, p.Kind) {
				from, to = min(from, p.Start), max(to, p.End)
			}
		}
		if from < to {
			out = append(out, phaseButton{label, from, to})
		}
	}
	add("injecting", string(runner.Inject))
	add("fault", string(runner.InForce))
	add("remedies", string(runner.Treat), string(runner.Soak))
	return out
}
