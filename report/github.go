package report

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// Annotate writes a variant that did not get its expected verdict as an annotation of GitHub's: an error at the block of the
// lab file that explains it. here is the folder that paths are told from.
//
// See GitHub's documentation of workflow commands.
func Annotate(w io.Writer, here string, l *lab.Lab, s *runner.Summary, v runner.VariantResult) {
	if v.Exit() == runner.ExitExpected {
		return
	}
	at := guilty(l, firstUnexpected(ofVariant(s.Outcomes, v.Variant)))
	if rel, err := filepath.Rel(here, at.File); err == nil && here != "" && filepath.IsAbs(at.File) {
		at.File = rel
	}
	_, _ = fmt.Fprintf(w, "::error file=%s,line=%d,title=%s::%s\n", property(at.File), max(1, at.Line),
		property(s.Lab+" "+variantName(v.Variant)), message(why(s, v)))
}

// why is the sentence that explains a variant's result.
func why(s *runner.Summary, v runner.VariantResult) string {
	of := ofVariant(s.Outcomes, v.Variant)
	o := firstUnexpected(of)
	text := gotOf(v, of)
	if len(of) > 1 {
		text += ", " + odds(v)
	}
	switch {
	case o != nil:
		text += ": " + o.Because
	case v.Because != "":
		text += ": " + v.Because
	}
	return text
}

// guilty is the block that a verdict is about.
func guilty(l *lab.Lab, o *runner.Outcome) lab.Pos {
	at := map[string]lab.Pos{}
	for _, a := range append(append([]lab.Assertion{}, l.Symptoms...), l.Invariants...) {
		at[a.Address()] = a.Pos
	}
	for _, r := range l.Remedies {
		at["remedy."+r.Name] = r.Pos
	}
	for _, f := range l.Faults {
		at[f.Address()] = f.Pos
	}
	first := lab.Pos{}
	if len(l.Symptoms) > 0 {
		first = l.Symptoms[0].Pos
	}
	if o == nil {
		return first
	}
	for _, s := range o.Symptoms {
		if o.Verdict == lab.NotReproduced && !s.Appeared || o.Verdict == lab.ControlDirty && s.InControl {
			return at[s.Address]
		}
	}
	for _, i := range o.Invariants {
		if o.Verdict == lab.InvariantBroken && !i.Held {
			return at[i.Address]
		}
	}
	for _, r := range o.Remedies {
		if r.Cures != r.Cured && (o.Verdict == lab.RemedyIneffective || o.Verdict == lab.UnexpectedCure) {
			return at["remedy."+r.Name]
		}
	}
	for address, pos := range at { // what could not be done or looked at names its block
		if o.Verdict == lab.Inconclusive && strings.HasPrefix(o.Because, address+" ") {
			return pos
		}
	}
	return first
}

func message(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(cleanText(s))
}

func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(message(s))
}
