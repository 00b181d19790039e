package guest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseJournal(t *testing.T) {
	const in = `{"__REALTIME_TIMESTAMP":"1795354779641397","_SOURCE_REALTIME_TIMESTAMP":"1795354779639675","CONTAINER_ID_FULL":"a","MESSAGE":"to stderr\n"}
{"__REALTIME_TIMESTAMP":"2000000","CONTAINER_ID_FULL":"a","MESSAGE":"first ","CONTAINER_PARTIAL_MESSAGE":"true"}
{"__REALTIME_TIMESTAMP":"2500000","CONTAINER_ID_FULL":"b","MESSAGE":"between"}
{"__REALTIME_TIMESTAMP":"3000000","CONTAINER_ID_FULL":"a","MESSAGE":"second"}
{"__REALTIME_TIMESTAMP":"4000000","CONTAINER_ID_FULL":"a","MESSAGE":[27,91,49,109,255]}
`
	lines, err := parseJournal([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		us   int64
		text string
	}{{1795354779639675, "to stderr"}, {2500000, "between"}, {2000000, "first second"}, {4000000, "\x1b[1m\xff"}}
	if len(lines) != len(want) {
		t.Fatalf("got %+v", lines)
	}
	for i, w := range want {
		if lines[i].Text != w.text || lines[i].At.UnixMicro() != w.us {
			t.Errorf("line %d: got %q at %d", i, lines[i].Text, lines[i].At.UnixMicro())
		}
	}
	for _, bad := range []string{"nonsense\n", `{"MESSAGE":{}}` + "\n"} {
		if _, err := parseJournal([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// TestLogTail: lines in parts, lines that are not whole yet, and a file that is removed with its container.
func TestLogTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctr.log")
	write := func(text string) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	write("2026-11-22T13:39:39.5+01:00 stdout F hello  there\n2026-11-22T13:39:40Z stderr P one ")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tail := &logTail{f: f}
	check := func(want ...string) {
		t.Helper()
		if err := tail.follow(); err != nil {
			t.Fatal(err)
		}
		if len(tail.lines) != len(want) {
			t.Fatalf("got %+v, want %q", tail.lines, want)
		}
		for i, w := range want {
			if tail.lines[i].Text != w {
				t.Errorf("line %d: got %q, want %q", i, tail.lines[i].Text, w)
			}
		}
	}
	check("hello  there")
	if at := tail.lines[0].At; !at.Equal(time.Date(2026, 11, 22, 12, 39, 39, 5e8, time.UTC)) {
		t.Errorf("got time %v", at)
	}
	write("\n2026-11-22T13:39:41Z stderr F line\nnonsense\n2026-11-22T13:39:42Z stdout F\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check("hello  there", "one line", "")
}

// FuzzContainerLog holds that no log file makes a line out of nothing, and that its lines do not depend on where a read ends.
func FuzzContainerLog(f *testing.F) {
	f.Add("2026-01-02T03:04:05.6+00:00 stdout F hello\n2026-01-02T03:04:05.7+00:00 stderr P half", 3)
	f.Add("x\n\n 2026-01-02T03:04:05.6Z\n2026-01-02T03:04:05Z stdout P a\n2026-01-02T03:04:05Z stdout F b\n", 1)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		var whole, parts logTail
		whole.take([]byte(text))
		if cut = max(1, cut%100); len(text) > 4096 {
			t.Skip()
		}
		for rest := text; rest != ""; {
			n := min(cut, len(rest))
			parts.take([]byte(rest[:n]))
			rest = rest[n:]
		}
		if len(whole.lines) != len(parts.lines) || len(whole.lines) > strings.Count(text, "\n") {
			t.Fatalf("%q has %d lines, in parts %d", text, len(whole.lines), len(parts.lines))
		}
		for i, l := range whole.lines {
			if p := parts.lines[i]; l.Text != p.Text || !l.At.Equal(p.At) {
				t.Errorf("line %d of %q is %v, in parts %v", i, text, l, p)
			}
		}
	})
}

// FuzzJournal holds that no text from journalctl makes more lines than it has entries.
func FuzzJournal(f *testing.F) {
	f.Add(`{"__REALTIME_TIMESTAMP":"2000000","CONTAINER_ID_FULL":"a","MESSAGE":"first ","CONTAINER_PARTIAL_MESSAGE":"true"}` + "\n")
	f.Add(`{"__REALTIME_TIMESTAMP":"-1","MESSAGE":[27,300,null]}` + "\n" + `{"MESSAGE":null}` + "\n{}")
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := parseJournal([]byte(text))
		if n := strings.Count(text, "{"); err == nil && len(lines) > n {
			t.Errorf("%q has %d lines", text, len(lines))
		}
	})
}
