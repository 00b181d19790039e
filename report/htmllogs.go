package report

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// logView is one log of a trial. All of it is packed: it is unpacked in the page when somebody opens it.
type logView struct {
	ID, Arm, Name string
	Lines         int
	Size          string
	Packed        string // gzip, base64
	Matches       []lineView
	Last          bool // the matches are the last lines, for want of better ones
	More          int  // matching lines that are not shown
}

// lineView is a line that a symptom looked for, in three parts: before what matched, the match, after it.
type lineView struct {
	When              string // "+24.9 s, fault"; empty: the line does not say
	Before, Hit, Rest string
}

// mostMatches is how many matching lines of one log are shown outside the full log.
const mostMatches = 40

// logsOf is a trial's logs with the lines that matter in each: those that its symptoms look for.
func logsOf(id string, t *storedTrial, probes []probe) []logView {
	patterns := patternsOf(probes)
	var out []logView
	for i, l := range t.logs {
		text := strings.TrimRight(cleanText(string(l.data)), "\n")
		v := logView{ID: fmt.Sprintf("%s-log%d", id, i), Arm: clean(l.arm), Name: clean(l.name), Size: size(len(text)), Packed: pack(text)}
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			v.Lines++
			at := firstMatch(patterns, line)
			if at == nil {
				continue
			}
			if len(v.Matches) == mostMatches {
				v.More++
				continue
			}
			v.Matches = append(v.Matches, lineView{When: t.when(l.arm, line), Before: line[:at[0]], Hit: line[at[0]:at[1]], Rest: line[at[1]:]})
		}
		if len(v.Matches) == 0 && (!t.judged || t.outcome.Verdict == lab.Inconclusive) {
			v.Matches, v.Last = t.last(l.arm, text), true
		}
		out = append(out, v)
	}
	return out
}

// lastShown is how many of a log's last lines are shown when a trial proves nothing.
const lastShown = 15

// last is the last lines of a log: those of the lab's containers, if it has any.
func (t *storedTrial) last(arm, text string) []lineView {
	var names []string
	for _, s := range t.lab.Stacks {
		for _, service := range s.Services {
			names = append(names, regexp.QuoteMeta(service.Container))
		}
	}
	all := strings.Split(text, "\n")
	if len(names) > 0 {
		said := regexp.MustCompile(` (?:` + strings.Join(names, "|") + `)\[[0-9]+\]: `)
		if theirs := slices.DeleteFunc(slices.Clone(all), func(l string) bool { return !said.MatchString(l) }); len(theirs) > 0 {
			all = theirs
		}
	}
	var out []lineView
	for _, line := range all[max(0, len(all)-lastShown):] {
		out = append(out, lineView{When: t.when(arm, line), Before: line})
	}
	return out
}

// lastWords is what a trial's first log ended with, where nothing better says why it failed.
func lastWords(logs []logView) string {
	if len(logs) == 0 || !logs[0].Last {
		return ""
	}
	var out []string
	for _, l := range logs[0].Matches[max(0, len(logs[0].Matches)-5):] {
		out = append(out, l.Before)
	}
	return strings.Join(out, "\n")
}

// patternsOf are the patterns by which symptoms look for log lines.
func patternsOf(probes []probe) []*regexp.Regexp {
	var out []*regexp.Regexp
	seen := map[string]bool{}
	for _, p := range probes {
		for _, m := range p.d.match {
			if p.a.Role == "symptom" && m != "" && m.Check() == nil && !seen[string(m)] {
				seen[string(m)] = true
				out = append(out, m.Regexp())
			}
		}
	}
	return out
}

func firstMatch(patterns []*regexp.Regexp, line string) []int {
	for _, p := range patterns {
		if at := p.FindStringIndex(line); at != nil && at[1] > at[0] {
			return at
		}
	}
	return nil
}

// journalTime is how journalctl's short-precise begins a line.
const journalTime = "Jan _2 15:04:05.000000"

// when says when a journal's line was written: after the trial's first phase began, and in which phase. The journal
// leaves the year out.
func (t *storedTrial) when(arm, line string) string {
	if len(line) < len(journalTime) {
		return ""
	}
	zero := beginning(t.outcome)
	at, err := time.Parse(journalTime, line[:len(journalTime)])
	if err != nil || zero.IsZero() {
		return ""
	}
	at = at.AddDate(zero.UTC().Year(), 0, 0)
	s := fmt.Sprintf("%+.1f s", at.Sub(zero).Seconds())
	for _, a := range t.outcome.Arms {
		if i := phaseAt(a.Phases, at); a.Name == arm && i >= 0 {
			s += ", " + spoken(a.Phases[i].Name())
		}
	}
	return s
}

func pack(text string) string {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is right
	_, _ = z.Write([]byte(text))                          // a buffer takes everything
	_ = z.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func size(n int) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1e6:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// stepsOf is what happened in a trial, told by its events.
func stepsOf(t *storedTrial) []stepView {
	zero := beginning(t.outcome)
	var out []stepView
	for _, e := range t.events {
		v := stepView{At: fmt.Sprintf("%+.1f s", e.At.Sub(zero).Seconds()), Arm: clean(e.Arm), Phase: spoken(e.Phase), Text: clean(e.Text)}
		switch e.Type {
		case runner.Step, runner.Warning, runner.Failed:
		case runner.PhaseStarted:
			v.Text, v.Head = spoken(e.Phase), true
		case runner.Appeared:
			v.Text = "appeared: " + clean(e.Subject) + ": " + v.Text
		case runner.Broken:
			v.Text = "broken: " + clean(e.Subject) + ": " + v.Text
		default:
			continue
		}
		out = append(out, v)
	}
	return out
}

type stepView struct {
	At, Arm, Phase, Text string
	Head                 bool
}
