package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// aFigure is one that was measured.
func aFigure(name string, v float64, unit lab.Unit, incident string) runner.FigureResult {
	return runner.FigureResult{Figure: lab.Figure{Name: name, Value: "x", Unit: unit, Incident: incident}, Address: dnsDead, Measured: &v}
}

// ofTheDiary are figures as stale-dns has them.
func ofTheDiary(slowest float64) []runner.FigureResult {
	return []runner.FigureResult{
		aFigure("answers", 8, "", "8"), aFigure("ttl", 86400, "", "86400"), aFigure("message", 172, lab.Bytes, "172"),
		aFigure("slowest_page", slowest, lab.Seconds, "tens of seconds"), {Figure: lab.Figure{Name: "never_seen", Incident: "3"}, Address: slow},
	}
}

// library is the summaries of several labs.
func library() []*runner.Summary {
	_, one := staleDNS()
	made := func(name string, took time.Duration, variant lab.Variant, rate lab.Rate, expect lab.Verdict, got ...lab.Verdict) []*runner.Outcome {
		var out []*runner.Outcome
		for i, v := range got {
			o := *one.Outcomes[0]
			o.Lab, o.Variant, o.Trial, o.Rate, o.Expect, o.Verdict, o.Took = name, variant, i+1, rate, expect, v, took
			o.Figures = ofTheDiary(18.445 - float64(i))
			switch v {
			case lab.Inconclusive:
				o.Because = "the clock of machine.server slipped by 2.1 s against the host's while the fault arm ran: the host was suspended or overloaded"
			case lab.NotReproduced:
				o.Because, o.Figures = "never appeared: "+dnsDead+" (2 answers, 1 address, 0 dead, TTL 0, 76 bytes)", nil
			}
			out = append(out, &o)
		}
		return out
	}
	of := func(name, run string, took time.Duration, all ...[]*runner.Outcome) *runner.Summary {
		var outcomes []*runner.Outcome
		for _, o := range all {
			outcomes = append(outcomes, o...)
		}
		s := runner.Summarise(name, lab.RunID(run), outcomes)
		s.Took = took
		return s
	}
	alone := lab.Variant{{Axis: "debian", Value: "bookworm"}, {Axis: "trigger", Value: "session_killed_alone"}}
	leak := []*runner.Outcome{}
	for _, o := range made("agent-leak", 33*time.Second, lab.Variant{{Axis: "zmq4", Value: "v0.15.0"}, {Axis: "identity", Value: "new"}}, "", lab.Reproduced, lab.Reproduced) {
		o.Figures = []runner.FigureResult{
			aFigure("heap_per_connection", 1388.4, lab.Bytes, ""), aFigure("in_30_days", 59.98e6, lab.Bytes, "memory grew for weeks"),
			aFigure("memory_ends_after", 5.7*24*3600, lab.Seconds, "5 days"), aFigure("accept", 0.982, lab.Percent, ""),
		}
		leak = append(leak, o)
	}
	return []*runner.Summary{
		of("stale-dns", "20260301-100000-k3f9", 6*time.Minute+12*time.Second,
			made("stale-dns", 62*time.Second, variant(), "", lab.Reproduced, lab.Reproduced),
			made("stale-dns", 71*time.Second, alone, "", lab.NotReproduced, lab.NotReproduced)),
		of("agent-leak", "20260301-101000-k3f9", 70*time.Second, leak,
			made("agent-leak", 31*time.Second, lab.Variant{{Axis: "zmq4", Value: "v0.16.0"}, {Axis: "identity", Value: "new"}}, "", lab.NotReproduced, lab.NotReproduced)),
		of("dns-blackout", "20260301-102000-k3f9", 21*time.Minute,
			made("dns-blackout", 55*time.Second, nil, ">= 0.3", lab.Reproduced, append(slicesOf(lab.Reproduced, 14), append(slicesOf(lab.NotReproduced, 6), lab.Inconclusive)...)...)),
	}
}

func slicesOf(v lab.Verdict, n int) []lab.Verdict {
	out := make([]lab.Verdict, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// troubledLibrary is one in which nothing is well.
func troubledLibrary() []*runner.Summary {
	all := library()
	all[0].Outcomes[0].Verdict, all[0].Outcomes[0].Because = lab.Inconclusive, "machine.server: \x1b[31mlost"
	all[0] = runner.Summarise("stale-dns", "x", all[0].Outcomes)
	all[1].Outcomes[1].Verdict = lab.Reproduced
	all[1] = runner.Summarise("agent-leak", "x", all[1].Outcomes)
	all[1].Leaks = []string{"mount /run/saigen/x/server"}
	return all
}

func TestOverview(t *testing.T) {
	for file, print := range map[string]func(w *bytes.Buffer){
		"overview.txt":          func(w *bytes.Buffer) { Overview(w, Style{Width: 80}, library()) },
		"overview-wide.txt":     func(w *bytes.Buffer) { Overview(w, Style{Width: 132}, library()) },
		"overview-plain.txt":    func(w *bytes.Buffer) { Overview(w, Style{}, library()) },
		"overview-colour.txt":   func(w *bytes.Buffer) { Overview(w, Style{Width: 80, Color: true}, library()) },
		"overview-troubled.txt": func(w *bytes.Buffer) { Overview(w, Style{Width: 80, ASCII: true}, troubledLibrary()) },
		"overview.md": func(w *bytes.Buffer) {
			if err := Markdown(w, nil, library()...); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(file, func(t *testing.T) {
			var w bytes.Buffer
			print(&w)
			golden(t, file, w.Bytes())
		})
	}
	for cols := 60; cols <= 200; cols += 7 {
		for _, runs := range [][]*runner.Summary{library(), troubledLibrary()} {
			var w bytes.Buffer
			Overview(&w, Style{Width: cols, Color: true}, runs)
			for line := range strings.Lines(w.String()) {
				if n := width(strings.TrimSuffix(line, "\n")); n > cols {
					t.Errorf("at %d columns %d wide: %q", cols, n, line)
				}
			}
			if strings.ContainsFunc(strings.NewReplacer("\x1b[", "").Replace(w.String()), forbidden) {
				t.Errorf("text of a machine reaches the terminal: %q", w.String())
			}
		}
	}
}

// The page has a table of figures, and where trials were repeated their spread.
func TestHTMLFigures(t *testing.T) {
	run := copied(t, func(run, trial string) {
		rewrite(t, filepath.Join(trial, runner.VerdictFile), func(s string) string {
			return strings.Replace(s, `"arms":`, `"figures": [
				{"name": "slowest_page", "value": "slowest", "unit": "seconds", "incident": "tens of <b>seconds</b>", "address": "symptom.http_latency.slow_pages", "measured": 18.445},
				{"name": "never_seen", "value": "x", "address": "symptom.log.no_route"}
			], "arms":`, 1)
		})
	})
	page := strings.Join(strings.Fields(render(t, run)), " ")
	for _, want := range []string{
		`<tr><th scope="row">slowest page <span class="quiet">slow pages</span></th><td>18.4 s</td><td>tens of &lt;b&gt;seconds&lt;/b&gt;</td></tr>`,
		`<tr><th scope="row">never seen <span class="quiet">no route</span></th><td>–</td>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Contains(render(t, fixture), "Beside the report of the incident") {
		t.Error("a lab without figures has a table of them")
	}
	again := copied(t, func(run, trial string) {
		if err := os.CopyFS(strings.TrimSuffix(trial, "1")+"2", os.DirFS(trial)); err != nil {
			t.Fatal(err)
		}
		for n, v := range map[string]string{"1": "8", "2": "10"} {
			rewrite(t, filepath.Join(strings.TrimSuffix(trial, "1")+n, runner.VerdictFile), func(s string) string {
				return strings.Replace(s, `"arms":`, `"figures": [{"name": "answers", "value": "x", "incident": "8", "address": "y", "measured": `+v+`}], "arms":`, 1)
			})
		}
	})
	if page := render(t, again); !strings.Contains(page, "measured (reported): answers 9 [8 to 10] (8)") {
		t.Error("the page of two trials has no spread")
	}
}

func TestAmount(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit lab.Unit
		want string
	}{
		{8, "", "8"}, {0, "", "0"}, {86400, "", "86400"}, {17.0416, "", "17.04"}, {0.0123456, "", "0.01235"}, {1388.41, "", "1388"}, {-3.5, "", "-3.5"}, {4.5e16, "", "45000000000000000"},
		{172, lab.Bytes, "172 bytes"}, {1388.4, lab.Bytes, "1388 bytes"}, {59.98e6, lab.Bytes, "57 MiB"}, {20480, lab.Bytes, "20 KiB"}, {0.25, lab.Bytes, "0.25 bytes"},
		{18.445, lab.Seconds, "18.4 s"}, {3.0561, lab.Seconds, "3.06 s"}, {50, lab.Seconds, "50 s"}, {59.99, lab.Seconds, "1 m 00 s"}, {0.0041, lab.Seconds, "4.1 ms"}, {0.9999, lab.Seconds, "1 s"},
		{61, lab.Seconds, "1 m 01 s"}, {36 * 3600, lab.Seconds, "36 h 00 m"}, {5.7 * 86400, lab.Seconds, "5.7 days"}, {1234.6 * 86400, lab.Seconds, "1235 days"}, {0, lab.Seconds, "0 s"},
		{0.982, lab.Percent, "98.2 %"}, {1, lab.Percent, "100 %"},
	} {
		if got := amount(c.v, c.unit); got != c.want {
			t.Errorf("%g in %q is %q, want %q", c.v, c.unit, got, c.want)
		}
	}
	if got := fmt.Sprint(Style{}.measured([]runner.Spread{{Figure: lab.Figure{Name: "a_b", Unit: lab.Seconds, Incident: "long"}, N: 3, Min: 1, Median: 2, Max: 3}})); got != "[a b 2 s [1 s to 3 s] (long)]" {
		t.Errorf("got %s", got)
	}
}
