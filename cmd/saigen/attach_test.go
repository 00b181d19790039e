package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/saigen-lab/saigen/runner"
)

// A stored run gives the events that its own terminal was told: no line before it is whole, and observations with what they say of
// their assertion.
func TestStream(t *testing.T) {
	home := t.TempDir()
	w := &world{
		args: []string{"run", "testdata/labs/flaky", "debian:bookworm", "--driver", "fake", "--quiet"},
		env: func(name string) string {
			return map[string]string{"HOME": home, "XDG_CACHE_HOME": home, "XDG_STATE_HOME": home}[name]
		},
		stdout: io.Discard, stderr: io.Discard, drivers: testDrivers(), kinds: testKinds(), fetcher: testFetcher,
	}
	w.run(t.Context())
	found, err := filepath.Glob(filepath.Join(home, "saigen", "runs", "*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v %v", found, err)
	}
	stored, err := os.ReadFile(filepath.Join(found[0], runner.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(found[0])); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(folder, runner.EventsFile), int64(len(stored)/2)); err != nil {
		t.Fatal(err)
	}
	s := newStream(folder, w.thaw)
	var all []runner.Event
	for range 2 {
		events, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, events...)
		if err := os.WriteFile(filepath.Join(folder, runner.EventsFile), stored, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said, held := map[string]bool{}, map[string]int{}
	for _, e := range all {
		if e.Type != runner.Observed {
			said[e.Arm+" "+e.Phase+" "+string(e.Type)] = true
			continue
		}
		times := 0
		if e.Holds {
			times = 1
		}
		held[e.Arm+" "+e.Phase] += times
	}
	for _, want := range []string{"  run_started", "fault baseline phase_started", "fault fault appeared", "fault soak cure phase_ended", "  run_ended"} {
		if !said[want] {
			t.Errorf("%q was not told, but %v", want, said)
		}
	}
	if n, looked := held["fault baseline"]; n != 0 || !looked || held["fault fault"] == 0 {
		t.Errorf("the symptom held: %v", held)
	}
	if events, err := s.next(); err != nil || len(events) > 0 {
		t.Errorf("told again: %v %v", events, err)
	}
}

// Whoever is attached to a paused run has it go on; the terminal's next line is left to whoever reads it next.
func TestGoOn(t *testing.T) {
	in, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer typed.Close()
	s := &session{folder: t.TempDir()}
	p := &person{run: &activeRun{session: s, w: &world{stdin: in}, runner: &runner.Runner{}}}
	if (storedRun{folder: s.folder}).goOn() {
		t.Error("a run that is not paused goes on")
	}
	for name, goOn := range map[string]func(){
		"attached": func() {
			if !(storedRun{folder: s.folder}).goOn() {
				t.Error("nobody waits")
			}
		},
		"here": func() { _, _ = typed.WriteString("\n") },
	} {
		at := runner.Pause{Arm: runner.Fault, Say: func(string, string) { goOn() }} // it waits from here on
		if err := p.wait(t.Context(), at); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := p.wait(ctx, runner.Pause{Say: func(string, string) { cancel() }}); err != nil {
		t.Errorf("interrupted: %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.scratch(), goOnFile)); err == nil {
		t.Error("the pipe is still there")
	}
}
