package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// quote is a fenced block that says after its language which file of this repository it is from.
var quote = regexp.MustCompile("(?ms)^```(go|hcl|sh|js|vue)(?: +(\\S+))?\n(.*?)^```$")

// taught are the pages that show no code but that of files, which other tests compile, run or validate.
var taught = []string{"docs/writing-a-lab.md", "docs/adding-a-fault.md", "docs/adding-an-assertion.md"}

// What a page quotes from a file stands there, word for word.
func TestQuotes(t *testing.T) {
	seen := map[string]int{}
	for path, text := range pages(t) {
		rel, err := filepath.Rel(repository(), path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range quote.FindAllStringSubmatch(text, -1) {
			file, block := m[2], m[3]
			if file == "" {
				if slices.Contains(taught, rel) {
					t.Errorf("%s shows %s and does not say from which file:\n%s", rel, m[1], block)
				}
				continue
			}
			seen[rel]++
			src, err := os.ReadFile(filepath.Join(repository(), file))
			if err != nil {
				t.Errorf("%s quotes %s: %v", rel, file, err)
			} else if !strings.Contains("\n"+string(src), "\n"+block) {
				t.Errorf("%s quotes %s, and this is not in it:\n%s", rel, file, block)
			}
		}
	}
	for _, page := range taught {
		if seen[page] < 4 {
			t.Errorf("%s: only %d quotations were found", page, seen[page])
		}
	}
}

// The labs that pages show whole are right, and formatted.
func TestExampleLabs(t *testing.T) {
	dir := filepath.Join(repository(), "docs", "examples", "nginx-typo")
	for _, args := range [][]string{{"validate", dir}, {"fmt", "--check", dir}} {
		var out bytes.Buffer
		if code := shipped(&out, args...).run(t.Context()); code != 0 {
			t.Errorf("saigen %s: exit code %d: %s", strings.Join(args, " "), code, out.String())
		}
	}
}
