package labfile

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzLoad holds that no text makes Load or Format panic, that a lab is either given or refused with an error, and that
// formatting is stable.
func FuzzLoad(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*/*/lab.hcl")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, s := range seeds {
		src, err := os.ReadFile(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	for _, s := range []string{
		"lab \"x\" {\n title = format(\"%d\", 1)\n}", "axis \"a\" { values = [1e999, null] }", "expect { verdict = null }",
		"image \"a\" { debian = axis[\"a\"][0].b }", "machine \"m\" { account { } }", "symptom \"lonely\" \"x\" { machine = 1 }",
		"symptom \"command\" \"x\" { number = 1e400 }", "x = \"${\"${\"${1}\"}\"}\"", "stack \"a\" { env = { a = null } }",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName), src, 0o644); err != nil {
			t.Fatal(err)
		}
		file, diags := Load(dir, testKinds(), readCompose)
		if (file == nil) != diags.HasErrors() {
			t.Errorf("File is nil: %v, diagnostics: %v", file == nil, diags)
		}
		printed(t, diags)
		once, diags := Format(src, FileName)
		if diags.HasErrors() {
			return
		}
		if twice, diags := Format(once, FileName); diags.HasErrors() {
			t.Errorf("formatting breaks the syntax of %q: %v", src, diags)
		} else if string(twice) != string(once) {
			t.Errorf("formatting twice changes %q to %q", once, twice)
		}
	})
}
