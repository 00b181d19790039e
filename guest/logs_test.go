package guest

import (
	"os"
	"path/filepath"
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
