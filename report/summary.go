package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// Summary prints what a run found, on one screen: each variant's verdict, why where it is not the expected one, the
// figures of what was reproduced, where the evidence lies and how to get into the broken machine. Of several variants
// it prints the figures of as many as fit; saigen show has them all.
func Summary(w io.Writer, st Style, s *runner.Summary) {
	part := func(print func(printer)) string {
		var b strings.Builder
		print(printer{w: &b, st: st})
		return b.String()
	}
	text := part(func(p printer) { p.verdicts(s) })
	foot := part(func(p printer) { p.leaks(s.Leaks); p.footer(s) })
	rows := rowsIn(text+foot, st) + 1 // the prompt comes below
	for _, v := range s.Variants {
		trials := ofVariant(s.Outcomes, v.Variant)
		o := firstReproduced(trials)
		if o == nil {
			continue
		}
		title := ""
		if len(s.Variants) > 1 {
			title = variantName(v.Variant)
		}
		if len(trials) > 1 {
			title = strings.TrimSpace(fmt.Sprintf("%s trial %d", title, o.Trial))
		}
		var figures string
		fits := false
		for _, most := range []int{0, 2, 1} { // lines of a symptom; what is cut then saigen show has
			figures = part(func(p printer) {
				p.figures(o, title, most)
				p.beside(v.Figures)
				p.cures(o)
			})
			if fits = st.Height <= 0 || rows+rowsIn(figures, st) <= st.Height; fits {
				break
			}
		}
		if !fits && len(s.Variants) > 1 {
			break
		}
		rows += rowsIn(figures, st)
		text += figures
	}
	_, _ = io.WriteString(w, text+foot)
}

// rowsIn is how many rows of a terminal text takes: what is never cut may be folded there.
func rowsIn(text string, st Style) int {
	n := 0
	for line := range strings.Lines(text) {
		n += rowsOf(strings.TrimSuffix(line, "\n"), cmp.Or(max(st.Width, 0), math.MaxInt32))
	}
	return n
}

// printer prints lines in a style.
type printer struct {
	w  io.Writer
	st Style
}

func (p printer) line(s string)       { put(p.w, strings.TrimRight(s, " ")) }
func (p printer) fit(s string)        { p.line(p.st.fit(s)) }
func (p printer) wide() int           { return cmp.Or(max(p.st.Width, 0), 120) }
func (p printer) dim(s string) string { return p.st.paint(dim, s) }

// wrapped prints text in as many lines as it needs, indented.
func (p printer) wrapped(indent int, text string) {
	for _, line := range wrap(clean(text), p.wide()-indent) {
		p.line(strings.Repeat(" ", indent) + line)
	}
}

func (p printer) verdicts(s *runner.Summary) {
	took := Duration(s.Took)
	head := p.st.cut(labName(s)+": "+conclusion(s), p.wide()-width(took)-2)
	p.line(p.st.paint(bold, pad(head, p.wide()-width(took))) + took)
	longest := 0
	for _, v := range s.Variants {
		longest = max(longest, width(variantName(v.Variant)))
	}
	longest = min(longest, p.wide()-32)
	for _, v := range s.Variants {
		trials := ofVariant(s.Outcomes, v.Variant)
		p.variant(v, trials, longest, s.Until > 0)
		if o := first(trials, (*runner.Outcome).AsExpected); o != nil && s.WithoutFaults {
			p.wrapped(4, o.Because)
		}
		if o := first(trials, func(o *runner.Outcome) bool { return o.Paused != "" }); o != nil {
			p.wrapped(4, "held up: "+o.Paused)
		}
	}
}

func (p printer) variant(v runner.VariantResult, outcomes []*runner.Outcome, longest int, gated bool) {
	g := p.st.glyphs()
	sign, c := g.good, green
	switch v.Exit() {
	case runner.ExitUnexpected:
		sign, c = g.bad, red
	case runner.ExitInconclusive:
		sign, c = g.blind, yellow
	}
	name := p.st.cut(variantName(v.Variant), longest)
	got := p.st.paint(c, gotOf(v, outcomes))
	if line := p.st.paint(c, sign) + " " + pad(name, longest) + "  " + got; width(line) <= p.wide() {
		p.line(line)
	} else { // the verdict is never cut
		p.line(p.st.paint(c, sign) + " " + name)
		p.line("    " + got)
	}
	if v.AsExpected.N+v.Inconclusive > 1 {
		p.wrapped(4, odds(v)+toSymptoms(v))
	}
	o := firstUnexpected(outcomes)
	if v.Because != "" && (o == nil || v.Rate != "" || gated) { // of all trials together
		p.wrapped(4, v.Because)
	}
	if o == nil || v.Exit() == runner.ExitExpected {
		return
	}
	p.wrapped(4, o.Because)
	for _, line := range explanation(p.st, o.Hint, o.Tail, 6) {
		p.fit("    " + line)
	}
	if len(o.Drift) > 0 {
		p.wrapped(4, "packages differ from lab.lock.json: "+strings.Join(o.Drift, ", "))
	}
}

func (p printer) leaks(leaks []string) {
	if len(leaks) == 0 {
		return
	}
	p.line("")
	p.line(p.st.paint(red, "left on this host (saigen gc removes it)"))
	for _, l := range leaks {
		p.wrapped(2, l)
	}
}

// footer: a folder and a command are there to be copied, so they are never cut.
func (p printer) footer(s *runner.Summary) {
	p.line("")
	if folder := evidence(s.Outcomes); folder != "" {
		p.line(p.dim("evidence  ") + clean(folder))
	}
	if s.From != "" {
		p.line(p.dim("fetched   ") + clean(s.From))
	}
	if s.Run != "" && len(s.Outcomes) > 1 {
		p.line(p.dim("details   ") + "saigen show " + clean(string(s.Run)))
	}
	if o := cmp.Or(firstUnexpected(s.Outcomes), firstReproduced(s.Outcomes)); o != nil && !s.WithoutFaults {
		up := cmp.Or(p.st.Up, "saigen up "+clean(s.Lab))
		p.line(p.dim("go in     ") + strings.TrimSpace(up+" "+clean(o.Variant.String())))
	}
}

// labName is what was run.
func labName(s *runner.Summary) string {
	if s.WithoutFaults {
		return clean(s.Lab) + " without its faults"
	}
	return clean(s.Lab)
}

// conclusion is the run in a few words.
func conclusion(s *runner.Summary) string {
	var bad, blind int
	for _, v := range s.Variants {
		switch v.Exit() {
		case runner.ExitUnexpected:
			bad++
		case runner.ExitInconclusive:
			blind++
		}
	}
	n := len(s.Variants)
	switch {
	case s.Exit == runner.ExitInterrupted:
		return "interrupted"
	case n == 0:
		return "nothing was run"
	case len(s.Leaks) > 0 && bad == 0:
		return "inconclusive: something is left on this host"
	case len(s.Lost) > 0 && bad == 0:
		return "inconclusive: not all of the evidence could be kept"
	case n == 1 && bad > 0:
		return "not as expected"
	case n == 1 && blind > 0:
		return "inconclusive"
	case n == 1:
		return "as expected"
	case bad > 0:
		return fmt.Sprintf("%d of %d variants not as expected", bad, n)
	case blind > 0:
		return fmt.Sprintf("%d of %d variants inconclusive", blind, n)
	}
	return fmt.Sprintf("all %d variants as expected", n)
}

// gotExpected is a verdict beside the one that the lab expects.
func gotExpected(got, expect lab.Verdict) string {
	if got == expect {
		return clean(string(got)) + ", as expected"
	}
	return clean(fmt.Sprintf("%s, expected %s", got, expect))
}

// gotOf is what a variant got, over its trials.
func gotOf(v runner.VariantResult, outcomes []*runner.Outcome) string {
	count := map[lab.Verdict]int{}
	for _, o := range outcomes {
		count[o.Verdict]++
	}
	if len(count) == 1 {
		return gotExpected(outcomes[0].Verdict, v.Expect)
	}
	var got []string
	wrong := len(count) == 0
	for _, verdict := range lab.Verdicts() {
		if n := count[verdict]; n > 0 {
			got = append(got, fmt.Sprintf("%d %s", n, verdict))
			wrong = wrong || verdict != v.Expect && verdict != lab.Inconclusive
		}
	}
	if wrong {
		got = append(got, "expected "+clean(string(v.Expect)))
	}
	return strings.Join(got, ", ")
}

// odds is "10 of 10 as expected (95 % interval: 72 to 100 %), 1 inconclusive".
func odds(v runner.VariantResult) string {
	if v.AsExpected.N == 0 {
		return fmt.Sprintf("all %d inconclusive", v.Inconclusive)
	}
	s := fmt.Sprintf("%d of %d as expected (%.3g %% interval: %.0f to %.0f %%)", v.AsExpected.K, v.AsExpected.N, 100*v.AsExpected.Confidence(),
		math.Floor(v.AsExpected.Low*100), math.Ceil(v.AsExpected.High*100))
	if v.Inconclusive > 0 {
		s += fmt.Sprintf(", %d inconclusive", v.Inconclusive)
	}
	return s
}

func toSymptoms(v runner.VariantResult) string {
	var each []string
	for _, address := range slices.Sorted(maps.Keys(v.ToSymptom)) {
		each = append(each, short(address)+" "+Duration(median(v.ToSymptom[address])))
	}
	if len(each) == 0 {
		return ""
	}
	return "; median time to " + strings.Join(each, ", ")
}

func variantName(v lab.Variant) string {
	if len(v) == 0 {
		return "the only variant"
	}
	return clean(v.String())
}

func ofVariant(all []*runner.Outcome, v lab.Variant) []*runner.Outcome {
	var out []*runner.Outcome
	for _, o := range all {
		if slices.Equal(o.Variant, v) {
			out = append(out, o)
		}
	}
	return out
}

func firstReproduced(all []*runner.Outcome) *runner.Outcome {
	return first(all, func(o *runner.Outcome) bool { return o.Verdict == lab.Reproduced })
}

// firstUnexpected prefers a wrong verdict to an inconclusive one.
func firstUnexpected(all []*runner.Outcome) *runner.Outcome {
	return cmp.Or(
		first(all, func(o *runner.Outcome) bool { return !o.AsExpected() && o.Verdict != lab.Inconclusive }),
		first(all, func(o *runner.Outcome) bool { return !o.AsExpected() }))
}

func first(all []*runner.Outcome, is func(*runner.Outcome) bool) *runner.Outcome {
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i]
	}
	return nil
}

// evidence is the folder that holds the evidence of all outcomes.
func evidence(all []*runner.Outcome) string {
	common := ""
	for i, o := range all {
		if i == 0 {
			common = o.Folder
		}
		for common != "" && o.Folder != common && !strings.HasPrefix(o.Folder, strings.TrimRight(common, "/")+"/") {
			up := filepath.Dir(common)
			if up == common || up == "." {
				return ""
			}
			common = up
		}
	}
	return common
}
