package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// docs/performance.md is what its figures say, and they are what was measured.
func TestPage(t *testing.T) {
	docs := filepath.Join("..", "docs")
	f, err := loadFigures(filepath.Join(docs, "performance.json"))
	text, missing := os.ReadFile(filepath.Join(docs, "performance.md"))
	if errors.Is(err, fs.ErrNotExist) && errors.Is(missing, fs.ErrNotExist) {
		t.Skip("nothing was measured yet: make bench writes docs/performance.md")
	}
	if err := errors.Join(err, missing); err != nil {
		t.Fatal(err)
	}
	if string(text) != page(f, allGroups()) {
		t.Error("docs/performance.md is not what docs/performance.json says; make it so with: go run ./bench -render")
	}
}

// What is measured later stands beside what was measured before, on the same host.
func TestBeside(t *testing.T) {
	old := someFigures()
	later := &figures{Machine: old.Machine, Lines: map[string]*measured{"start": {Saigen: []float64{1}}, "boot": {Saigen: []float64{9}}}}
	later.Machine.KVM = "no"
	all := later.beside(old)
	if len(all.Lines) != 4 || len(all.Lines["start"].Saigen) != 1 || len(all.Lines["clone-memory"].Saigen) != 2 || all.Machine.KVM != "no" {
		t.Errorf("got %+v", all)
	}
	unlucky := &figures{Machine: old.Machine, Lines: map[string]*measured{"start": {Missing: "not measured: it failed"}, "restore": {Missing: "not measured: it failed"}}}
	if all = unlucky.beside(old); len(all.Lines["start"].Saigen) != 3 || all.Lines["restore"].Missing != "not measured: it failed" {
		t.Errorf("what could not be measured: %+v", all.Lines)
	}
	if len(later.Lines) != 2 {
		t.Errorf("what is measured now became %+v", later)
	}
	other := &figures{Machine: machine{CPU: "another", KVM: notAsked}, Lines: map[string]*measured{"boot": {Saigen: []float64{9}}}}
	if all = other.beside(old); len(all.Lines) != 1 || all.Machine.CPU != "another" {
		t.Errorf("of another host: %+v", all)
	}
}

func someFigures() *figures {
	return &figures{
		Machine: machine{CPU: "a processor", Cores: 2, Memory: 4 << 30, KVM: notAsked},
		Lines: map[string]*measured{
			"start":        {Saigen: []float64{0.9, 0.5, 0.7}, Hand: []float64{0.5, 1}},
			"clone-memory": {Saigen: []float64{79e6, 121e6}, Hand: []float64{80e6}},
			"restore":      {Missing: "not measured: this host has no qemu-system-x86_64"},
		},
	}
}

func TestTable(t *testing.T) {
	text := page(someFigures(), allGroups())
	for _, want := range []string{
		"| system container: start → systemd running and agent answers | median ≤ 1 s | 0.7 s | 0.9 s | 3 | 0.75 s | 2 | 0.933 × | met |\n",
		"| each further clone of a snapshot: private memory | each ≤ 120 MB | 100 MB | 121 MB | 2 | 80 MB | 1 | 1.25 × | **not met** |\n",
		"| VM: restore → first command answered | median ≤ 0.25 s, p95 ≤ 0.5 s | – | – | 0 | – | 0 | – | not measured |\n",
		"Here: not measured: this host has no qemu-system-x86_64.\n",
		"| processor | a processor, 2 cores |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
}

// Where a budget is not met the page says what takes the time, and nowhere else.
func TestUnmet(t *testing.T) {
	f := someFigures()
	if text := page(f, allGroups()); strings.Contains(text, "What is left") || unmet(f, allGroups()) != "" {
		t.Errorf("nothing is to be explained:\n%s", text)
	}
	f.Lines["trip-vm"] = &measured{Saigen: []float64{0.006}}
	if text := unmet(f, allGroups()); !strings.HasPrefix(text, "- **command round trip, VM**: without KVM,") || strings.Count(text, "\n") != 1 {
		t.Errorf("one line is to be explained, not:\n%s", text)
	}
	if text := page(f, allGroups()); !strings.Contains(text, unmet(f, allGroups())) {
		t.Errorf("the page explains nothing:\n%s", text)
	}
	for _, l := range linesOf(allGroups()) {
		if len(l.budgets) == 0 && l.rest != "" {
			t.Errorf("%s has no budget", l.name)
		}
	}
}

// A figure that is changed by hand is noticed, wherever that is done.
func TestSeal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "performance.json")
	f := someFigures()
	if err := f.save(path); err != nil {
		t.Fatal(err)
	}
	again, err := loadFigures(path)
	if err != nil {
		t.Fatal(err)
	}
	if page(again, allGroups()) != page(f, allGroups()) {
		t.Error("the page is another one after the figures were stored")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for old, improved := range map[string]string{"121000000": "119000000", `"cores": 2`: `"cores": 1`} {
		changed := strings.Replace(string(data), old, improved, 1)
		if changed == string(data) {
			t.Fatalf("%s is not in the file", old)
		}
		if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := loadFigures(path); !errors.Is(err, errSeal) {
			t.Errorf("with %s for %s: %v", improved, old, err)
		}
	}
}
