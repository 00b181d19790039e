package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/runner"
)

// FuzzStoredRun: a run's folder has come from somebody else, and one of its files says what it likes. What reads it ends with an exit
// code that it has a meaning for, and prints no byte with which a file could speak to the terminal.
func FuzzStoredRun(f *testing.F) {
	home := f.TempDir()
	env := func(name string) string {
		return map[string]string{"HOME": home, "XDG_CACHE_HOME": home, "XDG_STATE_HOME": home}[name]
	}
	enter := func(out io.Writer, args ...string) *world {
		return &world{
			args: args, env: env, stdin: os.Stdin, stdout: out, stderr: out, drivers: testDrivers(), kinds: testKinds(), fetcher: testFetcher,
			log: slog.New(slog.DiscardHandler),
		}
	}
	enter(io.Discard, "run", "testdata/labs/flaky", "debian:bookworm", "--driver", "fake", "--quiet").run(f.Context())
	found, err := filepath.Glob(filepath.Join(home, "saigen", "runs", "*", "*", runner.VerdictFile))
	if err != nil || len(found) != 1 {
		f.Fatalf("the run left %v, %v", found, err)
	}
	trial := filepath.Dir(found[0])
	run := filepath.Dir(trial)
	name := filepath.Base(trial)
	files := []string{
		runInfoFile, runner.EventsFile, runner.SummaryFile, "lab.lock.json", "files.json", filepath.Join(name, runner.LabFile),
		filepath.Join(name, runner.VerdictFile), filepath.Join(name, runner.ObservationsFile), filepath.Join(name, "accounts.json"), filepath.Join(name, "story.md"),
	}
	for i, file := range files {
		data, err := os.ReadFile(filepath.Join(run, file))
		if err == nil && len(data) < 16<<10 {
			f.Add(uint8(i), data)
			f.Add(uint8(i), data[:len(data)/2])
		}
		for _, s := range []string{"null", "[null]", "{}\nnull\n", "7", "\"\\u001b]0;x\\u0007\"", "{\"arms\":[null],\"symptoms\":[null],\"remedies\":[{}]}"} {
			f.Add(uint8(i), []byte(s))
		}
	}
	commands := func(folder, page string) [][]string {
		return [][]string{{"judge", folder}, {"judge", "--frozen", folder}, {"report", folder, "-o", page}, {"diff", folder, folder}}
	}
	for _, args := range commands(run, filepath.Join(f.TempDir(), "page.html")) {
		var out bytes.Buffer
		if code := enter(&out, args...).run(f.Context()); code != 0 {
			f.Errorf("of the run as it was, saigen %v ends with %d:\n%s", args, code, out.String())
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		folder := filepath.Join(t.TempDir(), "run")
		if err := os.CopyFS(folder, os.DirFS(run)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, files[int(which)%len(files)]), data, 0o644); err != nil {
			t.Fatal(err)
		}
		page := filepath.Join(t.TempDir(), "page.html")
		for _, args := range commands(folder, page) {
			var out bytes.Buffer
			code := enter(&out, args...).run(t.Context())
			if code < 0 || code > runner.ExitInconclusive {
				t.Errorf("saigen %s ends with %d:\n%s", args[0], code, out.String())
			}
			if i := strings.IndexFunc(out.String(), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 }); i >= 0 {
				t.Errorf("saigen %s prints a control character:\n%q", args[0], out.String()[max(0, i-80):])
			}
		}
	})
}
