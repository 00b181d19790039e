package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/saigen-lab/saigen/fetch"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/stack"
)

// hostileLab is a folder of testdata/hostile. What it tries, and what comes of it, are its first two lines:
//
//	refused: PATTERN   saigen validate refuses it, for that reason and no other
//	image: PATTERN     it is a lab, and one of its images cannot be built, for that reason
//	printed: only as text
//	machine: TEST      what it does, it does in its machine; the real test of that name runs it
//
// Links cannot be in a repository that everybody can check out: the file LINKS has a line "NAME TARGET" for each.
type hostileLab struct{ name, dir, what, pattern string }

func hostileLabs(t *testing.T) []hostileLab {
	t.Helper()
	folders, err := filepath.Glob("testdata/hostile/*/lab.hcl")
	if err != nil || len(folders) < 27 {
		t.Fatalf("%d hostile labs, %v", len(folders), err)
	}
	var all []hostileLab
	for _, file := range folders {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		said := regexp.MustCompile(`^# It tries: .+\n# (refused|image|printed|machine): (.+)\n`).FindSubmatch(data)
		if said == nil {
			t.Fatalf("%s does not say what it tries and what comes of it", file)
		}
		name := filepath.Base(filepath.Dir(file))
		dir := filepath.Join(t.TempDir(), name)
		if err := os.CopyFS(dir, os.DirFS(filepath.Dir(file))); err != nil {
			t.Fatal(err)
		}
		links, err := os.ReadFile(filepath.Join(dir, "LINKS"))
		if err == nil {
			err = os.Remove(filepath.Join(dir, "LINKS"))
		} else if os.IsNotExist(err) {
			err = nil
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(links)) {
			from, to, _ := strings.Cut(strings.TrimSpace(line), " ")
			if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, hostileLab{name: name, dir: dir, what: string(said[1]), pattern: string(said[2])})
	}
	return all
}

// saidOf runs the command in this process, on labs and with folders of the test's own.
func saidOf(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	state := t.TempDir()
	var out, errs bytes.Buffer
	w := &world{
		args: args, stdin: nil, stdout: &out, stderr: &errs, drivers: testDrivers(), kinds: testKinds(), fetcher: fetch.New, log: slog.New(slog.DiscardHandler),
		env: func(name string) string {
			switch name {
			case "XDG_STATE_HOME", "XDG_CACHE_HOME", "HOME", "TMPDIR":
				return state
			}
			return ""
		},
	}
	code = w.run(t.Context())
	return out.String(), errs.String(), code
}

// Each hostile lab is refused, or contained, with a message that says what was refused.
func TestHostileLabs(t *testing.T) {
	t.Setenv("SAIGEN_TEST_SECRET", "hunter2")
	t.Setenv("GOPROXY", "file://"+t.TempDir()) // no proxy has what they want
	cache := image.New(t.TempDir(), slog.New(slog.DiscardHandler))
	for _, h := range hostileLabs(t) {
		t.Run(h.name, func(t *testing.T) {
			file, diags := labfile.Load(h.dir, testKinds(), stack.Read)
			errs := slices.DeleteFunc(slices.Clone(diags), func(d labfile.Diagnostic) bool { return d.Severity != labfile.Error })
			if h.what == "refused" {
				_, said, code := saidOf(t, "validate", h.dir)
				if n := strings.Count("\n"+said, "\nError: "); code != 2 || n != 1 || !regexp.MustCompile(h.pattern).MatchString(said) {
					t.Errorf("exit code %d, %d mistakes; it does not say that %q:\n%s", code, n, h.pattern, said)
				}
				if strings.Contains(said, "root:x:0") || strings.Contains(said, "hunter2") {
					t.Errorf("it says what is in a file of the host:\n%s", said)
				}
				return
			}
			if len(errs) > 0 {
				t.Fatalf("it is refused, and shows nothing any more: %v", diags.Error())
			}
			switch h.what {
			case "image":
				images := file.Lab(file.Variants()[0]).Images
				one := slices.IndexFunc(images, func(i lab.Image) bool { return i.Go != "" || i.NPM != "" })
				if one < 0 {
					t.Fatal("it has no image that is refused")
				}
				said := buildError(cache, t, images[one], h.dir)
				if !regexp.MustCompile(h.pattern).MatchString(said) || strings.Contains(said, "root:x:0") {
					t.Errorf("it says %q, want %q", said, h.pattern)
				}
			case "printed":
				for _, args := range [][]string{{"list", h.dir}, {"list", "-v", h.dir}, {"validate", h.dir}} {
					out, errs, _ := saidOf(t, args...)
					if out+errs == "" || strings.ContainsFunc(out+errs, func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) }) {
						t.Errorf("saigen %s prints %q", args[0], out+errs)
					}
				}
			}
		})
	}
}

// buildError is why an image of a lab cannot be built.
func buildError(c *image.Cache, t *testing.T, img lab.Image, dir string) string {
	t.Helper()
	b, err := c.Build(t.Context(), img, image.Service, dir, func(string, ...any) {})
	if err == nil {
		return "it was built: " + b.Tar
	}
	return err.Error()
}
