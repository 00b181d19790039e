package report

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares what was printed with testdata/<name>; -update writes the file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func play(sink runner.Sink, events []runner.Event) {
	for _, e := range events {
		sink.Event(e)
	}
}

func TestPrinters(t *testing.T) {
	events, one := staleDNS()
	labs := []LabLine{
		{Name: "stale-dns", Title: "nginx is slow: container DNS answers with the addresses of containers that are gone",
			Axes: []LabAxis{{"debian", []string{"bookworm", "trixie"}}, {"trigger", []string{"port_taken", "session_killed", "session_killed_alone", "session_killed_by_somebody_else"}}},
			Variants: []LabVariant{
				{variant(), lab.Reproduced, ""}, {append(variant()[:1:1], lab.Choice{Axis: "trigger", Value: "session_killed"}), lab.Reproduced, ">= 0.9"},
				{append(variant()[:1:1], lab.Choice{Axis: "trigger", Value: "session_killed_alone"}), lab.NotReproduced, ""},
			}},
		{Name: "small", Title: "one variant", Variants: []LabVariant{{nil, lab.Reproduced, ""}}},
		{Name: "half-done", Problem: "cannot read lab.hcl:\n3 mistakes"},
	}
	runs := []RunLine{
		{Run: one.Run, Lab: "stale-dns", Started: began, Took: one.Took, Trials: 1},
		{Run: "20260301-110000-aaaa", Lab: "stale-dns", Started: began.Add(time.Hour), Trials: 12, State: "running"},
		{Run: "20260301-120000-bbbb", Lab: "\x1b[31mred", Started: began.Add(2 * time.Hour), Took: 3 * time.Second, Trials: 1, Exit: runner.ExitInconclusive},
	}
	checks := []Check{
		{Requirement: lab.Requirement{Name: "mmdebstrap", Needed: "images of Debian"}},
		{Requirement: lab.Requirement{Name: "podman", Needed: "driver container", Fix: "apt-get install --no-install-recommends podman conmon crun netavark aardvark-dns slirp4netns"},
			Err: errors.New("podman is not in PATH")},
	}
	narrow := Style{Width: 80, Height: 24}
	for _, c := range []struct {
		file  string
		print func(w *bytes.Buffer)
	}{
		{"plain.txt", func(w *bytes.Buffer) { play(NewPlain(w, Style{Width: 80}), events) }},
		{"plain-quiet.txt", func(w *bytes.Buffer) { play(NewPlain(w, Style{Width: 80, Level: Quiet}), events) }},
		{"plain-verbose-troubled.txt", func(w *bytes.Buffer) { play(NewPlain(w, Style{Width: 80, ASCII: true, Level: Verbose}), troubled()) }},
		{"events.jsonl", func(w *bytes.Buffer) { play(NewJSON(w, Style{}), events) }},
		{"events-verbose-troubled.jsonl", func(w *bytes.Buffer) { play(NewJSON(w, Style{Level: Verbose}), troubled()) }},
		{"summary.txt", func(w *bytes.Buffer) { Summary(w, narrow, one) }},
		{"summary-wide.txt", func(w *bytes.Buffer) { Summary(w, Style{Width: 132, Up: "saigen up labs/stale-dns"}, repeated()) }},
		{"summary-colour.txt", func(w *bytes.Buffer) { Summary(w, Style{Width: 80, Color: true}, one) }},
		{"summary-repeated.txt", func(w *bytes.Buffer) { Summary(w, narrow, repeated()) }},
		{"show.txt", func(w *bytes.Buffer) { Show(w, narrow, one) }},
		{"runs.txt", func(w *bytes.Buffer) { Runs(w, narrow, runs) }},
		{"list.txt", func(w *bytes.Buffer) { Labs(w, narrow, labs) }},
		{"list-verbose.txt", func(w *bytes.Buffer) { Labs(w, Style{Width: 80, Level: Verbose}, labs) }},
		{"doctor.txt", func(w *bytes.Buffer) { Doctor(w, narrow, checks) }},
		{"summary.md", func(w *bytes.Buffer) {
			if err := Markdown(w, nil, repeated()); err != nil {
				t.Fatal(err)
			}
		}},
		{"junit.xml", func(w *bytes.Buffer) {
			if err := JUnit(w, nil, nil, one); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(c.file, func(t *testing.T) {
			var w bytes.Buffer
			c.print(&w)
			golden(t, c.file, w.Bytes())
		})
	}
}

// Nothing but a path or a command to be copied is wider than the terminal, and one variant's summary fits a screen.
func TestSummaryFits(t *testing.T) {
	_, one := staleDNS()
	_, many := staleDNS()
	o := *many.Outcomes[0]
	o.Symptoms = append(slices.Clone(o.Symptoms), o.Symptoms...)
	many.Outcomes = []*runner.Outcome{&o}
	for _, s := range []*runner.Summary{one, repeated(), many} {
		for cols := 40; cols <= 200; cols += 7 {
			var w bytes.Buffer
			Summary(&w, Style{Width: cols, Height: 24, Color: true}, s)
			for line := range strings.Lines(w.String()) {
				line = strings.TrimSuffix(line, "\n")
				copied := strings.Contains(line, "/var/lib/state") || strings.Contains(line, "saigen ")
				if width(line) > cols && !copied && !strings.Contains(line, "expected reproduced") {
					t.Errorf("at %d columns %d wide: %q", cols, width(line), line)
				}
			}
			if n := strings.Count(w.String(), "\n"); cols >= 80 && n > 23 {
				t.Errorf("at %d columns the summary of %d variants takes %d rows", cols, len(s.Variants), n)
			}
		}
	}
}

const hostile = "\x1b[31mhostile\x1b]0;x\x07\u009b1m\x00\u202e"

func forbidden(r rune) bool {
	return r != '\n' && r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e'
}

// taint sets every string that can be reached from v.
func taint(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(hostile)
		}
	case reflect.Pointer:
		if v.Type() != reflect.TypeFor[*time.Location]() {
			taint(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				taint(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			taint(v.Index(i))
		}
	}
}

// What machines say never reaches a reader's terminal as a sequence.
func TestNoSequencesGetThrough(t *testing.T) {
	var w bytes.Buffer
	play(NewPlain(&w, Style{Width: 80, Level: Verbose}), troubled())
	if strings.ContainsFunc(w.String(), forbidden) {
		t.Errorf("%q", w.String())
	}
	_, s := staleDNS()
	s.Leaks, s.Lab = []string{"x"}, "x"
	check := Check{Requirement: lab.Requirement{Name: "x", Needed: "x", Fix: "x"}, Err: errors.New(hostile)}
	line, one := RunLine{Run: "x", Lab: "x", State: "x"}, LabLine{Name: "x", Title: "x", Variants: []LabVariant{{variant(), "x", ""}}, Axes: []LabAxis{{"x", []string{"x"}}}}
	for _, v := range []any{s, &s.Outcomes, &check.Requirement, &line, &one} {
		taint(reflect.ValueOf(v))
	}
	for name, print := range map[string]func(w *bytes.Buffer, st Style){
		"summary": func(w *bytes.Buffer, st Style) { Summary(w, st, s) },
		"show":    func(w *bytes.Buffer, st Style) { Show(w, st, s) },
		"runs":    func(w *bytes.Buffer, st Style) { Runs(w, st, []RunLine{line}) },
		"list":    func(w *bytes.Buffer, st Style) { Labs(w, st, []LabLine{one}) },
		"doctor":  func(w *bytes.Buffer, st Style) { Doctor(w, st, []Check{check}) },
	} {
		var w bytes.Buffer
		print(&w, Style{Level: Verbose})
		if !strings.Contains(w.String(), "hostile") || strings.ContainsFunc(w.String(), forbidden) {
			t.Errorf("%s prints %q", name, w.String())
		}
	}
	for in, want := range map[string]string{
		"\x1b[1;31mred\x1b[0m":                     "red",
		"a\x1b]8;;http://x\x1b\\link\x1b]8;;\x07b": "alinkb",
		"never \x1b]0;ended":                       "never 0;ended",
		"\x9b31m":                                  "\uFFFD31m",
		"c\u009b1":                                 "c1",
		"50 %\r100 %":                              "50 % 100 %",
		"a\r\nb\n":                                 "a b",
		"\tтаб\u200d\ufeff":                        " таб",
		"\x1b(Bx\x1bMy\x1b":                        "xy",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		in   time.Duration
		want string
	}{
		{0, "0 s"}, {400 * time.Microsecond, "0.4 ms"}, {4080 * time.Microsecond, "4.1 ms"}, {9960 * time.Microsecond, "10 ms"},
		{640 * time.Millisecond, "640 ms"}, {999600 * time.Microsecond, "1.0 s"}, {18440 * time.Millisecond, "18.4 s"},
		{30 * time.Second, "30 s"}, {59940 * time.Millisecond, "59.9 s"}, {59960 * time.Millisecond, "1 m 00 s"},
		{72 * time.Second, "1 m 12 s"}, {3599600 * time.Millisecond, "1 h 00 m"}, {125 * time.Minute, "2 h 05 m"}, {-2 * time.Second, "-2 s"},
	} {
		if got := Duration(c.in); got != c.want {
			t.Errorf("Duration(%v) = %q, want %q", c.in, got, c.want)
		}
	}
	for _, c := range []struct {
		in   []time.Duration
		want time.Duration
	}{{nil, 0}, {[]time.Duration{3, 1, 2}, 2}, {[]time.Duration{4, 1, 2, 8}, 3}} {
		if got := median(c.in); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		got, want []string
	}{
		{wrap("a bb ccc", 4), []string{"a bb", "ccc"}},
		{wrap("", 4), []string{""}},
		{wrap("x abcdefghij k", 4), []string{"x", "abcd", "efgh", "ij k"}},
		{wrap("日本語 再現", 4), []string{"日本", "語", "再現"}},
		{wrap("日本", 1), []string{"日本"}},
		{wrapFigures("2 answers, 1 address, 0 dead", 20), []string{"2 answers,", "1 address, 0 dead"}},
		{wrapFigures("2 answers of a long kind, 1", 10), []string{"2 answers", "of a long", "kind, 1"}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Error(diff)
		}
	}
}
