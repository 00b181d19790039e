package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// docs/reliability.md is what its figures say, and they are what was counted.
func TestPage(t *testing.T) {
	docs := filepath.Join("..", "docs")
	r, err := loadReport(filepath.Join(docs, "reliability.json"))
	text, missing := os.ReadFile(filepath.Join(docs, "reliability.md"))
	if errors.Is(err, fs.ErrNotExist) && errors.Is(missing, fs.ErrNotExist) {
		t.Skip("nothing was broken yet: make torture writes docs/reliability.md")
	}
	if err := errors.Join(err, missing); err != nil {
		t.Fatal(err)
	}
	if string(text) != page(r, allScenarios()) {
		t.Error("docs/reliability.md is not what docs/reliability.json says; make it so with: go run ./torture -render")
	}
	for _, s := range allScenarios() {
		if res := r.Scenarios[s.name]; res == nil || len(res.Tallies) == 0 && res.Missing == "" {
			t.Errorf("scenario %s was not done; run make torture", s.name)
		}
	}
}

func someReport() *report {
	killed := &tally{What: "saigen run, container", Points: 3, Slowest: 0.417}
	killed.failed("ledger 2", leak, "process 7 (conmon)", "file /run/x")
	killed.failed("time 0.35", wrong, "exit code 1")
	lived := &tally{What: "conmon", Points: 2}
	lived.came("exit code 0")
	lived.came("exit code 3")
	lived.came("exit code 3")
	return &report{Scenarios: map[string]*result{"sweep": {Tallies: figures{killed, lived}, On: machine{Podman: "4.3.1", Date: "2026-01-02"}, Took: 61}}}
}

func TestPageSaysWhatWasCounted(t *testing.T) {
	text := page(someReport(), allScenarios())
	for _, want := range []string{
		"| sweep | saigen run, container | 3 | 1 | 0 | 1 | 0.42 s |\n",
		"| **all** | | **5** | **1** | **0** | **1** | 0.42 s |\n",
		"- sweep, conmon: 2 × exit code 3; 1 × exit code 0\n",
		"- saigen run, container at ledger 2: left: process 7 (conmon); file /run/x\n",
		"podman 4.3.1, ",
		"| sweep | 1 |  | 2026-01-02 |  | 1m1s | everything; of processes, what saigen had started |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
}

// A scenario that is done anew leaves the figures of the others as they are.
func TestWith(t *testing.T) {
	both := someReport().with(&report{Scenarios: map[string]*result{"locked": {Tallies: figures{{What: "the state", Points: 9}}}}})
	for _, want := range []string{"| sweep | saigen run, container | 3 |", "| locked | the state | 9 |", "| **all** | | **14** |"} {
		if text := page(both, allScenarios()); !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
}

// A figure that is changed by hand is noticed, wherever that is done.
func TestSeal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reliability.json")
	if err := someReport().save(path); err != nil {
		t.Fatal(err)
	}
	if _, err := loadReport(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for old, improved := range map[string]string{`"leaks": 1`: `"leaks": 0`, `"podman": "4.3.1"`: `"podman": "5"`} {
		changed := strings.Replace(string(data), old, improved, 1)
		if changed == string(data) {
			t.Fatalf("%s is not in the file", old)
		}
		if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := loadReport(path); !errors.Is(err, errSeal) {
			t.Errorf("with %s for %s: %v", improved, old, err)
		}
	}
}
