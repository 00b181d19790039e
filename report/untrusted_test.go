package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/saigen-lab/saigen/diff"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// evilText is what a machine or a lab may say wherever it says something: terminal sequences (a title, the clipboard, a colour, the
// cursor, one of a single byte), a direction override, commands of CI services, markup.
const evilText = "a\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b[31mb\x1b[2Jc\u009b2Jd\u202ee\x00f\x07\b\x7f\r\n::add-mask::x\n  ::set-output name=x::y\n##[add-mask]z ##vso[task.setvariable]w\n<script>alert(1)</script> ]]> \xff\ufffe"

// pervade sets every string that can be reached to the hostile one, and everything else to something that is not empty.
func pervade(v reflect.Value, depth int) {
	if depth > 8 || !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		switch v.Type() {
		case reflect.TypeFor[lab.Verdict](), reflect.TypeFor[runner.EventType](): // saigen's own words
			return
		}
		v.SetString(evilText)
	case reflect.Bool:
		v.SetBool(depth%2 == 0)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(1)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			pervade(v.Field(i), depth+1)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		pervade(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		pervade(v.Index(0), depth+1)
		pervade(v.Index(1), depth+1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		pervade(key, depth+1)
		pervade(value, depth+1)
		v.SetMapIndex(key, value)
	default: // interfaces and functions are no text
	}
}

func filled[T any]() T {
	var v T
	pervade(reflect.ValueOf(&v).Elem(), 0)
	return v
}

// harmless fails when a text would make a terminal or a CI service do something.
func harmless(t *testing.T, name, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			t.Errorf("%s prints %q:\n%q", name, r, text)
			return
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") || strings.Contains(line, "##vso[") {
			t.Errorf("%s prints a command for a CI service: %q", name, line)
		}
	}
}

// Whatever a machine or a lab says, in whichever field it comes, is text where it is printed.
func TestHostileText(t *testing.T) {
	summary := filled[*runner.Summary]()
	event := filled[runner.Event]()
	event.Summary = summary
	st := Style{Width: 100, Level: Verbose}
	prints := map[string]func(w io.Writer){
		"plain": func(w io.Writer) {
			p := NewPlain(w, st)
			for _, typ := range []runner.EventType{
				runner.RunStarted, runner.DriverChosen, runner.TrialStarted, runner.ArmStarted, runner.PhaseStarted, runner.Step, runner.Observed, runner.Appeared,
				runner.Broken, runner.Warning, runner.Failed, runner.PhaseEnded, runner.ArmEnded, runner.TrialEnded, runner.Leaked, runner.RunEnded, "another",
			} {
				e := event
				e.Type = typ
				p.Event(e)
			}
		},
		"json": func(w io.Writer) {
			p := NewJSON(w, st)
			p.Event(event)
		},
		"summary": func(w io.Writer) { Summary(w, st, summary) },
		"show":    func(w io.Writer) { Show(w, st, summary) },
		"overview": func(w io.Writer) {
			other := *summary
			other.Lab = "other"
			Overview(w, st, []*runner.Summary{summary, &other})
		},
		"runs":      func(w io.Writer) { Runs(w, st, filled[[]RunLine]()) },
		"labs":      func(w io.Writer) { Labs(w, st, filled[[]LabLine]()) },
		"doctor":    func(w io.Writer) { Doctor(w, st, filled[[]Check]()) },
		"cache":     func(w io.Writer) { Cache(w, st, filled[[]CacheLine]()) },
		"held":      func(w io.Writer) { Held(w, st, evilText, evilText) },
		"judgement": func(w io.Writer) { Judgement(w, st, filled[[]Judged](), []*runner.Summary{summary}) },
		"boundary":  func(w io.Writer) { Boundaries(w, st, filled[[]Boundary]()) },
		"diff":      func(w io.Writer) { Differences(w, st, evilText, evilText, filled[[]diff.Difference](), 10) },
		"failure":   func(w io.Writer) { Failure(w, evilText, evilText, evilText) },
		"lines": func(w io.Writer) {
			l := NewLines(w)
			for _, b := range []byte(evilText) { // in pieces
				_, _ = l.Write([]byte{b})
			}
			_ = l.Close()
		},
		"junit": func(w io.Writer) {
			if err := JUnit(w, func(*runner.Outcome) []runner.Event { return []runner.Event{event} }, filled[[]Mistake](), summary); err != nil {
				t.Error(err)
			}
		},
		"markdown": func(w io.Writer) {
			if err := Markdown(w, filled[[]Mistake](), summary, summary); err != nil {
				t.Error(err)
			}
		},
	}
	for name, print := range prints {
		var out bytes.Buffer
		print(&out)
		if out.Len() == 0 {
			t.Errorf("%s prints nothing", name)
		}
		switch name {
		case "junit": // files, not lines that a CI service reads
			d := xml.NewDecoder(&out)
			d.Strict = true
			for {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("junit: %v", err)
				}
				if e, ok := token.(xml.StartElement); ok && e.Name.Local == "script" {
					t.Error("junit has an element of the lab's")
				}
			}
		case "markdown":
			text := regexp.MustCompile("(?s)```text.*?\n```|`[^`\n]*`").ReplaceAllString(out.String(), "") // code is shown as it is
			if strings.Contains(text, "<script>") || strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) {
				t.Errorf("markdown has %s", out.String())
			}
		case "json":
			harmless(t, name, out.String())
			var got runner.Event
			if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Text != strings.ToValidUTF8(event.Text, "\ufffd") {
				t.Errorf("json says %q, %v", got.Text, err)
			}
		default:
			harmless(t, name, out.String())
		}
	}
}

// An annotation is one line, and the only command in it is ours.
func TestHostileAnnotation(t *testing.T) {
	var out bytes.Buffer
	summary := filled[*runner.Summary]()
	v := summary.Variants[0]
	l := &lab.Lab{Symptoms: []lab.Assertion{{Pos: lab.Pos{File: evilText, Line: 3}}}}
	Annotate(&out, "/", l, summary, v)
	if n := strings.Count(out.String(), "\n"); n != 1 || !strings.HasPrefix(out.String(), "::error file=") {
		t.Errorf("%d lines: %q", n, out.String())
	}
	if head, _, _ := strings.Cut(strings.TrimPrefix(out.String(), "::error "), "::"); strings.Count(head, ",") != 2 {
		t.Errorf("the properties are %q", head)
	}
	for _, r := range strings.TrimSuffix(out.String(), "\n") {
		if unicode.IsControl(r) {
			t.Errorf("it has %q", r)
		}
	}
}
