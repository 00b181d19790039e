package labfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// write makes a lab's folder from "name: text" pairs, and returns it. The folder has a parent of its own.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "labs", "x")
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const simple = `lab "x" {
  title = "x"
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

machine "server" { image = image.host }

fault "session_kill" "x" { stack = stack.alice }

symptom "command" "x" {
  machine = machine.server
  run     = ["false"]
}
`

// wants fails the test unless exactly these summaries come, in this order.
func wants(t *testing.T, got Diagnostics, summaries ...string) {
	t.Helper()
	var have []string
	for _, d := range got {
		have = append(have, d.Summary)
	}
	if strings.Join(have, "|") != strings.Join(summaries, "|") {
		t.Errorf("diagnostics are %q, not %q\n%s", have, summaries, got.Error())
	}
}

func TestLoadNothing(t *testing.T) {
	_, diags := Load(filepath.Join(t.TempDir(), "gone"), testKinds(), readCompose)
	wants(t, diags, "Cannot read the lab file")
	if got := printed(t, diags); !strings.Contains(got, "gone:\n") || !strings.Contains(got, "it does not exist") {
		t.Errorf("printed:\n%s", got)
	}
	_, diags = Load(t.TempDir(), testKinds(), readCompose)
	wants(t, diags, "Cannot read the lab file")
}

func TestLoadHuge(t *testing.T) {
	dir := write(t, map[string]string{"lab.hcl": strings.Repeat("# x\n", maxBytes)})
	_, diags := Load(dir, testKinds(), readCompose)
	wants(t, diags, "Cannot read the lab file")
}

func TestSymlinkOut(t *testing.T) {
	dir := write(t, map[string]string{"lab.hcl": strings.Replace(simple, `title = "x"`, "title = \"x\"\n  story = \"story.md\"", 1)})
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "story.md")); err != nil {
		t.Fatal(err)
	}
	_, diags := Load(dir, testKinds(), readCompose)
	wants(t, diags, "No such file", "Unknown stack")
	if !strings.Contains(diags[0].Detail, "escapes") {
		t.Errorf("the link is followed: %s", diags[0].Detail)
	}
}

func TestIncludeThroughSymlinkOut(t *testing.T) {
	dir := write(t, map[string]string{"lab.hcl": simple + "\ninclude { source = \"out/a.hcl\" }\n"})
	out := t.TempDir()
	if err := os.WriteFile(filepath.Join(out, "a.hcl"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(out, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	_, diags := Load(dir, testKinds(), readCompose)
	wants(t, diags, "Cannot read the included file")
}

func TestTooManyFiles(t *testing.T) {
	files := map[string]string{"lab.hcl": simple + "\ninclude { source = \"0.hcl\" }\n"}
	for i := range maxFiles {
		files[fmt.Sprintf("%d.hcl", i)] = fmt.Sprintf("include { source = \"%d.hcl\" }\n", i+1)
	}
	_, diags := Load(write(t, files), testKinds(), readCompose)
	wants(t, diags, "Too many files")
}

func TestFetchedInclude(t *testing.T) {
	shared := t.TempDir()
	text := "stack \"alice\" {\n  machine = machine.server\n  account = \"alice\"\n  compose = \"compose.yaml\"\n}\n"
	if err := os.WriteFile(filepath.Join(shared, IncludeName), []byte("image \"other\" { debian = \"sid\" }\n"+text), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := write(t, map[string]string{"lab.hcl": simple + `
include {
  source   = "git::https://example.test/shared.git"
  checksum = "sha256:1234"
}
`})
	l := Loader{Kinds: testKinds(), Stacks: readCompose, Fetch: func(source, checksum string) (string, error) {
		if source != "git::https://example.test/shared.git" || checksum != "sha256:1234" {
			t.Errorf("asked for %s, %s", source, checksum)
		}
		return shared, nil
	}}
	_, diags := l.Load(dir)
	wants(t, diags, "Unknown account", "Path in a fetched file")
	if err := os.WriteFile(filepath.Join(shared, IncludeName), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, diags = l.Load(dir)
	wants(t, diags, "Unknown stack")
	l.Fetch = func(string, string) (string, error) { return "", errors.New("the checksum is another one") }
	_, diags = l.Load(dir)
	wants(t, diags, "Cannot fetch the included file")
	l.Fetch = func(string, string) (string, error) { return filepath.Join(shared, "gone"), nil }
	_, diags = l.Load(dir)
	wants(t, diags, "Cannot read the included file")
}

// The lab's Dir is its own folder, and the folder around it once it includes a file from there.
func TestDir(t *testing.T) {
	f, diags := Load("testdata/good/include/sub", testKinds(), readCompose)
	if f == nil {
		t.Fatal(diags)
	}
	l := f.Lab(f.Variants()[0])
	if l.Dir != filepath.Dir(f.Dir) || filepath.Base(f.Dir) != "sub" {
		t.Errorf("File.Dir is %s, Lab.Dir is %s", f.Dir, l.Dir)
	}
	for _, p := range []lab.Path{l.Stacks[0].Compose, l.Images[0].Go, l.Remedies[0].Run} {
		if _, err := os.Stat(filepath.Join(l.Dir, string(p))); err != nil {
			t.Error(err)
		}
	}
}

func TestVariants(t *testing.T) {
	f, diags := Load("testdata/good/stale-dns", testKinds(), readCompose)
	if f == nil {
		t.Fatal(diags)
	}
	var got []string
	for _, v := range f.Variants() {
		l := f.Lab(v)
		got = append(got, fmt.Sprintf("%s: %s by %s", v, l.Expect, l.Faults[0].Address()))
		if len(l.Faults) != 1 {
			t.Errorf("%s has %d faults", v, len(l.Faults))
		}
	}
	want := `debian:bookworm trigger:port_taken: reproduced by fault.container_churn.deploys
debian:bookworm trigger:session_killed: reproduced by fault.session_kill.x
debian:bookworm trigger:session_killed_alone: not_reproduced by fault.session_kill.x
debian:trixie trigger:port_taken: not_reproduced by fault.container_churn.deploys
debian:trixie trigger:session_killed: not_reproduced by fault.session_kill.x
debian:trixie trigger:session_killed_alone: not_reproduced by fault.session_kill.x`
	if strings.Join(got, "\n") != want {
		t.Errorf("got:\n%s", strings.Join(got, "\n"))
	}
	fault := f.Lab(f.Variants()[1]).Faults[0].Do.(*sessionKill)
	if !fault.LoginSession || fault.Rounds != 3 || fault.Account != "alice" {
		t.Errorf("settings of the second variant are %+v", fault)
	}
	if f.Lab(lab.Variant{{Axis: "debian", Value: "sid"}}) != nil {
		t.Error("there is a lab for a variant that does not exist")
	}
}

func TestSelect(t *testing.T) {
	f, diags := Load("testdata/good/stale-dns", testKinds(), readCompose)
	if f == nil {
		t.Fatal(diags)
	}
	for _, c := range []struct {
		filters string
		count   int
		err     string
	}{
		{"", 6, ""},
		{"debian:bookworm", 3, ""},
		{"debian:bookworm trigger:port_taken", 1, ""},
		{"debian:bookworm debian:trixie", 6, ""},
		{"!debian:trixie", 3, ""},
		{"!trigger:port_taken debian:trixie", 2, ""},
		{"debian:bookworm !debian:bookworm", 0, "leaves none"},
		{"debain:bookworm", 0, `has no axis "debain". Did you mean "debian"?`},
		{"!debian:bookwrom", 0, `has no value "bookwrom". Did you mean "bookworm"?`},
		{"zoo:x", 0, `It has "debian" and "trigger".`},
		{"bookworm", 0, "write axis:value"},
	} {
		got, err := f.Select(strings.Fields(c.filters))
		if len(got) != c.count || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("Select(%s) = %v, %v", c.filters, got, err)
		}
	}
	none := &File{Name: "x", variants: []lab.Variant{{}}}
	if _, err := none.Select([]string{"a:b"}); err == nil || !strings.Contains(err.Error(), "has no axes") {
		t.Errorf("got %v", err)
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"", ""},
		{"\n\n", ""},
		{"lab  \"x\" {\r\ntitle=\"x\" # why\r\n  story   = \"y\"\r\n}", "lab \"x\" {\n  title = \"x\" # why\n  story = \"y\"\n}\n"},
		{"a = <<E\n  x\nE\n\n\n", "a = <<E\n  x\nE\n"},
	} {
		got, diags := Format([]byte(c.in), "lab.hcl")
		if string(got) != c.out || len(diags) != 0 {
			t.Errorf("Format(%q) = %q, %v", c.in, got, diags)
		}
		again, _ := Format(got, "lab.hcl")
		if string(again) != string(got) {
			t.Errorf("formatted twice, %q becomes %q", got, again)
		}
	}
	got, diags := Format([]byte("lab {"), "lab.hcl")
	if got != nil || !diags.HasErrors() || diags[0].Place.String() != "lab.hcl:1:5" {
		t.Errorf("broken syntax gives %q, %v", got, diags)
	}
	if got, diags := Format(make([]byte, maxBytes+1), "lab.hcl"); got != nil || !diags.HasErrors() {
		t.Errorf("a huge file gives %d bytes, %v", len(got), diags)
	}
}

func TestWrite(t *testing.T) {
	dir := write(t, map[string]string{"lab.hcl": "lab \"x\" {\n\ttitle =\t\"é\" + bad\n}\n"})
	t.Chdir(dir)
	_, diags := Load(".", testKinds(), readCompose)
	var b strings.Builder
	if err := diags[len(diags)-1].only().Write(&b, 40, true); err != nil {
		t.Fatal(err)
	}
	want := "\x1b[1;31mError:\x1b[0m Reference where only a value can be\n\n" +
		"  on lab.hcl:2:16, in lab \"x\":\n" +
		"   2: \ttitle =\t\"é\" + bad\n" +
		"      \t       \t      \x1b[1;31m^^^\x1b[0m\n\n" +
		"What is written here must be the same in\nevery variant, so it cannot refer to\nanything. Write the value itself. If\ntext is meant, write it in quotes:\n\"bad\".\n\n"
	if b.String() != want {
		t.Errorf("got:\n%q\nwant:\n%q", b.String(), want)
	}
	if !strings.HasPrefix(diags.Error(), "lab.hcl:1:1: ") {
		t.Errorf("as an error: %s", diags.Error())
	}
}

func (d Diagnostic) only() Diagnostics { return Diagnostics{d} }

func TestNearest(t *testing.T) {
	for _, c := range []struct{ given, want string }{
		{"bookwrom", "bookworm"}, {"BOOKWORM", "bookworm"}, {"x", ""}, {"trxie", "trixie"}, {"sidd", "sid"}, {"", ""},
		{strings.Repeat("bookworm", 50), ""},
	} {
		if got := nearest(c.given, suites()); got != c.want {
			t.Errorf("nearest(%q) = %q, not %q", c.given, got, c.want)
		}
	}
}

func TestRate(t *testing.T) {
	f, diags := Load("testdata/good/rate", testKinds(), readCompose)
	if f == nil {
		t.Fatal(diags)
	}
	for _, v := range f.Variants() {
		want := lab.Rate(">= 0.9")
		if v[0].Value == "trixie" {
			want = ""
		}
		if l := f.Lab(v); l.Expect != lab.Reproduced || l.Rate != want {
			t.Errorf("%s: %s at a rate of %q, want %q", v, l.Expect, l.Rate, want)
		}
	}
}
