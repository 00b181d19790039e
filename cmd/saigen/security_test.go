package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each promise of docs/security.md is shown by something: every test and hostile lab that it names exists, every line of its tables
// names one, and every hostile lab has a line.
func TestSecurityPage(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(repository(), "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests, labs := map[string]bool{}, map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err = filepath.WalkDir(repository(), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			tests[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hostileLabs(t) {
		labs[h.name] = false
		if h.what == "machine" && !tests[h.pattern] {
			t.Errorf("the hostile lab %s names the test %s, which does not exist", h.name, h.pattern)
		}
	}
	name := regexp.MustCompile("`([^`]+)`")
	promises := 0
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 2 || !strings.HasPrefix(line, "| ") || strings.Contains(line, "shown by") {
			continue
		}
		promises++
		shown := name.FindAllStringSubmatch(cells[1], -1)
		if len(shown) == 0 {
			t.Errorf("nothing shows that %s", cells[0])
		}
		for _, m := range shown {
			_, lab := labs[m[1]]
			if !lab && !tests[m[1]] {
				t.Errorf("there is no test and no hostile lab %s, which shows that %s", m[1], cells[0])
			}
			if lab {
				labs[m[1]] = true
			}
		}
	}
	if promises < 25 {
		t.Errorf("the page has %d promises", promises)
	}
	for name, named := range labs {
		if !named {
			t.Errorf("the page says nothing of the hostile lab %s", name)
		}
	}
}
