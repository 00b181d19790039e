package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestPoints(t *testing.T) {
	p := &profile{took: 10 * time.Second}
	for i := range 12 {
		p.lines = append(p.lines, appearance{word: "ledger", n: i + 1})
	}
	for _, n := range []int{1, 2, 9, 18, 40} {
		all := p.points(n)
		if len(all) != n {
			t.Errorf("%d points instead of %d", len(all), n)
		}
		var names []string
		for _, at := range all {
			names = append(names, at.String())
			again, err := p.point(at.String())
			if err != nil || again.String() != at.String() || (again.in-at.in).Abs() > 10*time.Millisecond || again.n != at.n {
				t.Errorf("%v is read as %v, %v", at, again, err)
			}
		}
		slices.Sort(names)
		if len(slices.Compact(names)) != n {
			t.Errorf("points are there twice: %v", names)
		}
	}
	for _, bad := range []string{"", "ledger", "ledger x", "7"} {
		if at, err := p.point(bad); err == nil {
			t.Errorf("%q is %v", bad, at)
		}
	}
}

// A point that comes too late has earlier ones, but not for ever; one that was asked for by its name has none.
func TestEarlier(t *testing.T) {
	began := time.Now()
	p := &profile{began: began, took: 200 * time.Millisecond, lines: []appearance{{word: "ledger", n: 1, at: began.Add(200 * time.Millisecond)}}}
	first := p.points(2)[0]
	if first.String() != "ledger 1" {
		t.Fatalf("the point is %v", first)
	}
	var got []string
	for at, more := first.earlier(); more; at, more = at.earlier() {
		got = append(got, at.String())
	}
	if want := []string{"50.0%", "25.0%", "12.5%", "6.2%", "3.1%", "1.6%", "0.8%"}; !slices.Equal(got, want) {
		t.Errorf("earlier ones are %v, not %v", got, want)
	}
	named, err := p.point("ledger 1")
	must(t, err)
	if at, more := named.earlier(); more {
		t.Errorf("earlier than the line that was asked for is %v", at)
	}
}

// Lines are told in order, each once: also those that were there before the folder was watched, and not those from before.
func TestWatch(t *testing.T) {
	h := &host{dir: t.TempDir()}
	old := filepath.Join(h.folder(), "r0", ledgerFile)
	must(t, os.MkdirAll(filepath.Dir(old), 0o755))
	must(t, os.WriteFile(old, []byte("before\n"), 0o644))
	w, err := h.watch()
	must(t, err)
	defer w.close()
	next := func(want appearance) {
		t.Helper()
		select {
		case got := <-w.lines:
			if got.at = (time.Time{}); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("never saw %v", want)
		}
	}
	write := func(path, text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		must(t, err)
		_, err = f.WriteString(text)
		must(t, err)
		must(t, f.Close())
	}
	run := filepath.Join(h.folder(), "r1")
	must(t, os.Mkdir(run, 0o755))
	write(filepath.Join(run, ledgerFile), "a\nb\nhalf")
	next(appearance{word: "ledger", n: 1, text: "a"})
	next(appearance{word: "ledger", n: 2, text: "b"})
	write(filepath.Join(run, "events.jsonl"), "e\n")
	next(appearance{word: "events", n: 1, text: "e"})
	write(filepath.Join(run, ledgerFile), " a line\n")
	next(appearance{word: "ledger", n: 3, text: "half a line"})
	write(old+".new", "after\n")
	must(t, os.Rename(old+".new", old))
	next(appearance{word: "ledger", n: 4, text: "rewritten"})
	write(old, "more\n")
	next(appearance{word: "ledger", n: 5, text: "more"})
	must(t, os.Truncate(old, 2))
	next(appearance{word: "ledger", n: 6, text: "rewritten"})
}
