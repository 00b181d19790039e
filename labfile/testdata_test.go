package labfile

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// TestFixtures loads every lab under testdata. What is expected stands on the guilty line: "# ERROR: part of the
// summary", or WARNING; several are separated by ";". "…" at the end of the comment asks for a text in the detail:
// "# ERROR: Unknown kind … Did you mean".
func TestFixtures(t *testing.T) {
	for _, group := range []string{"good", "bad"} {
		dirs, err := filepath.Glob("testdata/" + group + "/*")
		if err != nil || len(dirs) == 0 {
			t.Fatalf("no fixtures in testdata/%s: %v", group, err)
		}
		for _, dir := range dirs {
			t.Run(group+"/"+filepath.Base(dir), func(t *testing.T) {
				_, err := os.Stat(filepath.Join(dir, "sub", "lab.hcl")) // a lab beside what it includes
				path := dir
				if err == nil {
					path = filepath.Join(dir, "sub")
				}
				loader := Loader{Kinds: testKinds(), Stacks: readCompose}
				if strings.HasPrefix(filepath.Base(dir), "fetched") { // as one that came from elsewhere, with all that is in the folder
					loader.From = "git::https://labs.test/" + filepath.Base(dir) + "?ref=0123456789abcdef0123456789abcdef01234567"
					if loader.Within, err = filepath.Abs(dir); err != nil {
						t.Fatal(err)
					}
				}
				f, diags := loader.Load(path)
				compare(t, dir, diags)
				if (group == "good") == diags.HasErrors() {
					t.Errorf("errors: %v, in a folder of %s ones", diags.HasErrors(), group)
				}
				if (f == nil) != diags.HasErrors() {
					t.Errorf("File is nil: %v, errors: %v", f == nil, diags.HasErrors())
				}
				if f != nil {
					golden(t, dir, f)
				}
				if text := printed(t, diags); group == "bad" {
					same(t, filepath.Join(dir, "messages.txt"), text)
				}
			})
		}
	}
}

type expectation struct {
	place    string // file:line
	severity Severity
	summary  string
	detail   string
}

// expectations reads the comments of every file in a folder.
func expectations(t *testing.T, dir string) []expectation {
	t.Helper()
	var want []expectation
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) == ".json" || filepath.Base(path) == "messages.txt" {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(src), "\n") {
			_, comment, ok := strings.Cut(line, "# ")
			if !ok || (!strings.HasPrefix(comment, "ERROR:") && !strings.HasPrefix(comment, "WARNING:")) {
				continue
			}
			for one := range strings.SplitSeq(comment, ";") {
				word, text, _ := strings.Cut(strings.TrimSpace(one), ": ")
				summary, detail, _ := strings.Cut(text, " … ")
				want = append(want, expectation{fmt.Sprintf("%s:%d", path, i+1), Severity(strings.ToLower(word)), summary, detail})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return want
}

func compare(t *testing.T, dir string, got Diagnostics) {
	t.Helper()
	left := append(Diagnostics(nil), got...)
next:
	for _, w := range expectations(t, dir) {
		for i, d := range left {
			if fmt.Sprintf("%s:%d", d.Place.File, max(d.Place.Line, 1)) == w.place && d.Severity == w.severity &&
				strings.Contains(d.Summary, w.summary) && strings.Contains(d.Detail, w.detail) {
				left = append(left[:i:i], left[i+1:]...)
				continue next
			}
		}
		t.Errorf("missing at %s: %s: %s … %s", w.place, w.severity, w.summary, w.detail)
	}
	for _, d := range left {
		t.Errorf("unexpected at %s: %s: %s\n%s", d.Place, d.Severity, d.Summary, d.Detail)
	}
}

func printed(t testing.TB, d Diagnostics) string {
	t.Helper()
	var b strings.Builder
	if err := d.Write(&b, 100, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// golden compares the evaluated lab of every variant with the file lab.json, where the fixture has one.
func golden(t *testing.T, dir string, f *File) {
	t.Helper()
	path := filepath.Join(dir, "lab.json")
	if _, err := os.Stat(path); err != nil {
		return
	}
	var all []any
	for _, v := range f.Variants() {
		all = append(all, f.Lab(v))
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	same(t, path, string(text)+"\n")
}

func same(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("no golden file (make it with: go test ./labfile -update): %v", err)
	}
	if text != string(want) {
		t.Errorf("%s differs; look at the difference after: go test ./labfile -update\ngot:\n%s", path, text)
	}
}
