package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/saigen-lab/saigen/runner"
)

// Markdown writes runs as a summary for the page of a CI job: for each lab a table of its variants, then of each variant
// what was seen; and why labs cannot be run. GitHub and GitLab show it.
func Markdown(w io.Writer, wrong []Mistake, runs ...*runner.Summary) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	for _, m := range wrong {
		line("## %s: cannot be run\n", mdText(m.Lab))
		for mistake := range strings.Lines(m.Text) {
			line("- %s", mdText(strings.TrimSpace(mistake)))
		}
		line("")
	}
	if len(labsOf(runs)) > 1 {
		markdownOverview(line, runs)
	}
	for _, s := range runs {
		line("## %s: %s\n", mdText(labName(s)), mdText(conclusion(s)))
		line("| | variant | verdict | trials | why |")
		line("|---|---|---|---|---|")
		for _, v := range s.Variants {
			of := ofVariant(s.Outcomes, v.Variant)
			sign := mdSign(v.Exit())
			because, trials := v.Because, "1"
			if len(of) > 1 {
				trials = mdText(odds(v))
			}
			if o := firstUnexpected(of); o != nil {
				because = o.Because
			} else if because == "" && len(of) > 0 {
				because = of[0].Because
			}
			line("| %s | %s | %s | %s | %s |", sign, mdText(variantName(v.Variant)), mdText(gotOf(v, of)), trials, mdText(because))
		}
		line("")
		for _, left := range s.Leaks {
			line("- left on the host: %s", mdText(left))
		}
		for _, lost := range s.Lost {
			line("- not kept of the evidence: %s", mdText(lost))
		}
		for _, v := range s.Variants {
			o := firstUnexpected(ofVariant(s.Outcomes, v.Variant))
			if o == nil {
				o = firstReproduced(ofVariant(s.Outcomes, v.Variant))
			}
			if o != nil {
				again := strings.TrimSpace(o.Lab + " " + o.Variant.String())
				if s.WithoutFaults {
					again += " --without-faults"
				}
				markdownOutcome(line, o, v.Figures, again)
			}
		}
		if s.Driver != "" {
			line("Run `%s` on driver %s, %s.\n", mdCode(string(s.Run)), mdText(s.Driver), Duration(s.Took))
		} else {
			line("Run `%s`, %s.\n", mdCode(string(s.Run)), Duration(s.Took))
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("cannot write the summary: %v", err)
	}
	return nil
}

// markdownOverview is one table of all labs.
func markdownOverview(line func(string, ...any), runs []*runner.Summary) {
	labs := overviewLabs(Style{}, runs)
	line("## %s, %s\n", mdText(overviewHead(runs)), Duration(together(runs)))
	line("| | lab | variant | expected | verdict | trials | time | measured (reported) |")
	line("|---|---|---|---|---|---|---|---|")
	for _, l := range labs {
		for _, r := range l.rows {
			line("| %s | %s | %s | %s | %s | %s | %s | %s |", mdSign(r.exit), mdText(l.name), mdText(r.full), mdText(r.expect), mdText(r.got),
				cmp.Or(r.trials, "1"), r.took, mdText(strings.Join(r.figures, "; ")))
		}
	}
	line("")
}

func mdSign(exit int) string {
	switch exit {
	case runner.ExitExpected:
		return "✅"
	case runner.ExitUnexpected:
		return "❌"
	}
	return "⚠️"
}

func markdownOutcome(line func(string, ...any), o *runner.Outcome, figures []runner.Spread, again string) {
	line("<details><summary>%s: what was seen</summary>\n", mdText(variantName(o.Variant)))
	line("| symptom | without the fault | with it | after | after the remedy |")
	line("|---|---|---|---|---|")
	for _, s := range o.Symptoms {
		after := "never"
		if s.Appeared {
			after = Duration(s.After)
		}
		line("| %s | %s | %s | %s | %s |", mdText(short(s.Address)), mdText(s.Control), mdText(s.Last), after, mdText(s.AfterCure))
	}
	line("")
	if len(figures) > 0 {
		line("| figure | measured | reported |")
		line("|---|---|---|")
		for _, f := range figures {
			line("| %s | %s | %s |", mdText(figureName(f.Figure)), mdText(Style{}.spreadText(f)), mdText(f.Incident))
		}
		line("")
	}
	for _, i := range o.Invariants {
		if !i.Held {
			line("- %s broke in the %s: %s", mdText(i.Address), mdText(i.BrokeIn), mdText(i.Last))
		}
	}
	for _, d := range o.Drift {
		line("- differs from lab.lock.json: %s", mdText(d))
	}
	if o.Hint != "" {
		line("- hint: %s", mdText(o.Hint))
	}
	if o.Tail != "" {
		line("\n```text\n%s\n```", strings.ReplaceAll(strings.Join(lastLines(o.Tail, 20), "\n"), "```", "'''"))
	}
	line("\nAgain: `saigen run %s`\n", mdCode(again))
	line("</details>\n")
}

// mdText keeps text of a machine from being read as Markdown or HTML, in a cell of a table too.
func mdText(s string) string {
	return strings.NewReplacer(
		"&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "\\|", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "]", "\\]", "~", "\\~",
	).Replace(clean(strings.ReplaceAll(s, "\\", "\\\\")))
}

func mdCode(s string) string { return strings.ReplaceAll(clean(s), "`", "'") }
