package main

import (
	"bufio"
	gobytes "bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestStatistics(t *testing.T) {
	for _, c := range []struct {
		values      []float64
		median, p95 float64
	}{
		{[]float64{3}, 3, 3},
		{[]float64{4, 1}, 2.5, 4},
		{[]float64{5, 1, 3}, 3, 5},
		{[]float64{20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, 10.5, 19},
	} {
		before := slices.Clone(c.values)
		if got := median(c.values); got != c.median {
			t.Errorf("median of %v is %v", c.values, got)
		}
		if got := percentile(c.values, 0.95); got != c.p95 {
			t.Errorf("p95 of %v is %v", c.values, got)
		}
		if !slices.Equal(before, c.values) {
			t.Errorf("%v became %v", before, c.values)
		}
	}
}

func TestOutcome(t *testing.T) {
	m := &measured{Saigen: []float64{1, 2, 9}, Hand: []float64{2}}
	for _, c := range []struct {
		budgets []budget
		want    string
	}{
		{nil, "–"},
		{[]budget{{middle, 2}}, "met"},
		{[]budget{{middle, 2}, {p95, 8}}, "**not met**"},
		{[]budget{{ratio, 1}}, "met"},
		{[]budget{{ratio, 0.9}}, "**not met**"},
		{[]budget{{most, 8}}, "**not met**"},
	} {
		if got := m.outcome(c.budgets); got != c.want {
			t.Errorf("%v: %s", c.budgets, got)
		}
	}
	if got := (&measured{Saigen: []float64{1}}).outcome([]budget{{ratio, 1}}); got != "not measured" {
		t.Errorf("a ratio to nothing: %s", got)
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 1: "1", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 1234: "1234", 0.01234: "0.0123", 100: "100", 10: "10"} {
		if got := figure(v); got != want {
			t.Errorf("%v is %q", v, got)
		}
	}
	for v, want := range map[float64]string{0.002: "2 ms", 0.0999: "99.9 ms", 0.1: "0.1 s", 61.5: "61.5 s"} {
		if got := seconds.text(v); got != want {
			t.Errorf("%v s is %q", v, got)
		}
	}
}

func TestChoose(t *testing.T) {
	all := allGroups()
	chosen, err := choose(all, "restore,lab,boot")
	if err != nil || len(chosen) != 2 || chosen[0].name != "vm" || chosen[1].name != "lab" {
		t.Errorf("chosen are %v, %v", chosen, err)
	}
	if _, err := choose(all, "speed"); err == nil || !strings.Contains(err.Error(), "validate") {
		t.Errorf("a line that there is not: %v", err)
	}
	names := map[string]bool{}
	for _, l := range linesOf(all) {
		if names[l.name] {
			t.Errorf("two lines are called %s", l.name)
		}
		names[l.name] = true
	}
	for _, c := range []struct {
		only, group, line string
		want              bool
	}{{"", "vm", "boot", true}, {"vm", "vm", "boot", true}, {"boot", "vm", "boot", true}, {"boot", "vm", "restore", false}} {
		if wanted(c.only, c.group, c.line) != c.want {
			t.Errorf("-only %q wants %s: %v", c.only, c.line, !c.want)
		}
	}
}

func TestTurns(t *testing.T) {
	order := ""
	say := func(s string) func(int) error { return func(int) error { order += s; return nil } }
	if err := turns(t.Context(), 3, say("s"), say("h")); err != nil || order != "shhssh" {
		t.Errorf("the order is %s, %v", order, err)
	}
	broken := errors.New("broken")
	if err := turns(t.Context(), 3, say("s"), func(int) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

func TestShell(t *testing.T) {
	s, err := newShell("sh")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.end(); err != nil {
			t.Error(err)
		}
	}()
	if got, err := s.do(t.Context(), "printf one; echo two >&2"); err != nil || got != "onetwo" {
		t.Errorf("it says %q, %v", got, err)
	}
	if _, err := s.do(t.Context(), "echo why; false"); err == nil || !strings.Contains(err.Error(), "code 1") || !strings.Contains(err.Error(), "why") {
		t.Errorf("a command that fails: %v", err)
	}
	if got, err := s.do(t.Context(), "echo again"); err != nil || got != "again" {
		t.Errorf("after that it says %q, %v", got, err)
	}
	if _, err := s.do(t.Context(), "exit 3"); err == nil {
		t.Error("a shell that ends is no error")
	}
}

// A terminal shows what is typed: that is not the word that says done.
func TestShellOnTerminal(t *testing.T) {
	var typed strings.Builder
	answer := "/bin/true\r\necho \"\r\n" + done[:5] + "\"\"" + done[5:] + " $?\"\r\n\r\n" + done + " 0\r\n"
	s := &shell{in: &typed, out: bufio.NewReader(strings.NewReader(answer)), end: func() error { return nil }}
	if _, err := s.do(t.Context(), "/bin/true"); err != nil {
		t.Error(err)
	}
	if strings.Contains(typed.String(), done) {
		t.Errorf("what is typed has the word itself: %q", typed.String())
	}
}

func TestCPIO(t *testing.T) {
	archive := append(toCPIO("init", []byte("first")), toCPIO("etc/else", []byte("second one"))...)
	got, err := fromCPIO(toCPIO("init", []byte("first")), "init")
	if err != nil || string(got) != "first" {
		t.Errorf("init is %q, %v", got, err)
	}
	if got, err = fromCPIO(archive, "etc/else"); err != nil || string(got) != "second one" {
		t.Errorf("etc/else is %q, %v", got, err)
	}
	if _, err := fromCPIO(archive, "nothing"); err == nil {
		t.Error("what is not there is found")
	}
	if _, err := fromCPIO(gobytes.Repeat([]byte("x"), 200), "init"); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("what is no archive gives %v", err)
	}
}

// What belongs to one machine is the hand's own, all else is saigen's.
func TestHandArguments(t *testing.T) {
	args := []string{
		"qemu-system-x86_64", "-nodefaults", "-sandbox", "on", "-pidfile", "/r/pid", "-chardev", "socket,id=monitor,fd=3", "-mon", "chardev=monitor,mode=control",
		"-accel", "tcg", "-object", `{"qom-type":"memory-backend-file","mem-path":"/c/server.ram","size":1048576,"share":false}`,
		"-chardev", "file,id=console,path=console.log,append=on", "-S", "-incoming", "defer",
	}
	out, state, err := handArguments(t.TempDir(), args)
	if err != nil {
		t.Fatal(err)
	}
	if state != "/c/server.state" {
		t.Errorf("it goes on from %q", state)
	}
	got := strings.Join(out, " ")
	want := `qemu-system-x86_64 -nodefaults -chardev socket,id=monitor,server=on,wait=off,path=monitor.sock -mon chardev=monitor,mode=readline -accel tcg -object {"mem-path":"/c/server.ram","qom-type":"memory-backend-file","share":false,"size":1048576} -chardev socket,id=console,server=on,wait=off,path=console.sock -S -incoming defer`
	if got != want {
		t.Errorf("the arguments are\n%s\nnot\n%s", got, want)
	}
}
