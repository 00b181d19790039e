package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/runner"
)

const watchedLab = `lab "watched" {
  title = "somebody writes this lab"
}

axis "size" {
  values = ["small", "large"]
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

machine "server" { image = image.host }

fault "fake" "switch" {
  machine = machine.server
  value   = "sick"
  lasting = true
}

symptom "fake" "sick" {
  machine = machine.server
  value   = "sick"
  is      = axis.size == "small" ? "over 0" : "at least 1"
  every   = "5ms"
  within  = "20s"
}

remedy "cure" {
  machine = machine.server
  run     = "cure.sh"
  soak    = "20ms"
}
`

// A lab under edit: what changed is run again, and only that; limits are judged at once; a mistake does not end the watch.
func TestWatch(t *testing.T) {
	home, dir := t.TempDir(), filepath.Join(t.TempDir(), "watched")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("lab.hcl", watchedLab)
	write("cure.sh", "#!fake\nfake set sick 0\n")
	var out lockedBuffer
	w := &world{
		args: []string{"watch", dir, "--driver", "fake"},
		env: func(name string) string {
			return map[string]string{"HOME": home, "XDG_CACHE_HOME": home, "XDG_STATE_HOME": home}[name]
		},
		stdout: &out, stderr: &out, drivers: testDrivers(), kinds: testKinds(), fetcher: testFetcher,
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan int, 1)
	go func() { ended <- w.run(ctx) }()
	begin := 0
	// said waits for the end of the next round, and returns what it printed.
	said := func() string {
		t.Helper()
		patient, stop := context.WithTimeout(ctx, patience)
		defer stop()
		if !await(patient, func() bool { return strings.Contains(out.String()[begin:], "; ^C ends\n") }) {
			t.Fatalf("the watch is not waiting:\n%s", out.String()[begin:])
		}
		all := out.String()
		text := all[begin:]
		begin = len(all)
		return text
	}
	runs := func() int {
		all, _ := filepath.Glob(filepath.Join(home, "saigen", "runs", "*", runner.SummaryFile))
		return len(all)
	}
	if text := said(); runs() != 1 || !strings.Contains(text, "all 2 variants as expected") {
		t.Errorf("the start: %d runs\n%s", runs(), text)
	}
	write("lab.hcl", strings.Replace(watchedLab, `"at least 1"`, `"exactly 1"`, 1))
	text := said()
	judged, run := strings.Index(text, "judged by"), strings.Index(text, ", 1 trial\n")
	if runs() != 2 || judged < 0 || run < judged || strings.Contains(text, "size:small: somebody") {
		t.Errorf("a limit of one variant: %d runs\n%s", runs(), text)
	}
	write("lab.hcl", strings.Replace(watchedLab, "symptom", "sympton", 1))
	if text = said(); runs() != 2 || !strings.Contains(text, "sympton") {
		t.Errorf("a mistake: %d runs\n%s", runs(), text)
	}
	write("lab.hcl", strings.Replace(watchedLab, `"at least 1"`, `"exactly 1"`, 1))
	if text = said(); runs() != 2 || strings.Contains(text, "reproduced") {
		t.Errorf("the mistake taken back: %d runs\n%s", runs(), text)
	}
	write("cure.sh", "#!fake\nfake set sick 0\nfake set cured 1\n")
	if text = said(); runs() != 3 || strings.Contains(text, "judged by") || !strings.Contains(text, "all 2 variants as expected") {
		t.Errorf("a script: %d runs\n%s", runs(), text)
	}
	cancel()
	select {
	case code := <-ended:
		if code != 0 {
			t.Errorf("exit code %d", code)
		}
	case <-time.After(patience):
		t.Error("^C does not end it")
	}
}
