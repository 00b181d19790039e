package assertions

import (
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

func TestFile(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Skipf("there is nobody to own the files: %v", err)
	}
	dir := t.TempDir()
	build := filepath.Join(dir, "build.log")
	long := strings.Repeat("x", 200_000) // more than a scanner's line
	text := "built\nERROR in ./src\nSyntaxError: Unexpected token (1:159)\nERROR again\n" + long
	if err := os.WriteFile(build, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	shared := filepath.Join(dir, "shared")
	if err := os.Mkdir(shared, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(shared, 0o700|os.ModeSticky|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"latest": "build.log", "dangling": "gone"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	w := labtest.NewWorld(nil)
	for _, c := range []struct {
		kind    File
		holds   bool
		summary string // a part of it
	}{
		{File{Path: "build.log", Exists: p(true)}, true, "200071 bytes, 0640, of " + me.Username},
		{File{Path: "build.log", Exists: p(false)}, false, "0640"},
		{File{Path: "gone", Exists: p(false)}, true, "gone is absent"},
		{File{Path: "gone", Exists: p(true)}, false, "absent"},
		{File{Path: "build.log/below", Exists: p(false)}, true, "absent"},
		{File{Path: "dangling", Exists: p(false)}, true, "absent"},
		{File{Path: "build.log", Size: "over 100kB"}, true, ""},
		{File{Path: "build.log", Size: "under 1kB"}, false, ""},
		{File{Path: "empty", Size: "exactly 0B"}, true, "0 bytes"},
		{File{Path: "gone", Size: "under 1kB"}, false, ""},
		{File{Path: "build.log", Mode: "640"}, true, ""},
		{File{Path: "build.log", Mode: "0644"}, false, ""},
		{File{Path: "shared", Mode: "3700"}, true, "3700"},
		{File{Path: "build.log", Owner: me.Username}, true, ""},
		{File{Path: "build.log", Owner: "nobody-at-all"}, false, ""},
		{File{Path: "latest", Match: `^SyntaxError: .* \(\d+:\d+\)$`}, true, "1 line"},
		{File{Path: "build.log", Match: "^x+$"}, true, "1 line"},
		{File{Path: "build.log", Match: "^ERROR", Count: "exactly 2"}, true, "2 lines"},
		{File{Path: "build.log", Match: "^ERROR", Count: "over 2"}, false, "2 lines"},
		{File{Path: "build.log", Match: "warning"}, false, "0 lines"},
		{File{Path: "build.log", Match: "warning", Count: "exactly 0"}, true, "0 lines"},
		{File{Path: "gone", Match: "warning", Count: "exactly 0"}, false, "absent"},
		{File{Path: "build.log", Count: "exactly 5"}, true, "5 lines"},
		{File{Path: "empty", Count: "exactly 0"}, true, "0 lines"},
		{File{Path: "build.log", Mode: "640", Match: "built", Size: "under 1kB"}, false, ""},
	} {
		name := c.kind.Path
		c.kind.Path = filepath.Join(dir, c.kind.Path)
		o := look(t, &c.kind, w)
		if c.kind.Holds([]lab.Observation{o}) != c.holds || !strings.Contains(o.Summary, c.summary) {
			t.Errorf("%s %+v: %q, holds %v", name, c.kind, o.Summary, !c.holds)
		}
	}
	o := look(t, &File{Path: build, Match: "ERROR"}, w)
	if len(o.Lines) != 2 || o.Lines[0] != "ERROR in ./src" {
		t.Errorf("lines %q", o.Lines)
	}
	cannotLook(t, &File{Path: shared, Match: "x"}, w, "no regular file")
	cannotLook(t, &File{Path: "x", Stack: "stack.bob", Exists: p(true)}, w, "cannot find stack.bob")
	cannotLook(t, &File{Path: "x", Account: "nobody-at-all", Exists: p(false)}, w, "cannot find the home of nobody-at-all")
	if err := os.Symlink("circle", filepath.Join(dir, "circle")); err != nil {
		t.Fatal(err)
	}
	cannotLook(t, &File{Path: filepath.Join(dir, "circle"), Exists: p(false)}, w, "cannot look at")
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, fileRead+1); err != nil {
		t.Fatal(err)
	}
	cannotLook(t, &File{Path: large, Match: "x"}, w, "more than 64 MiB")
}

// Where a relative path begins.
func TestFileWhere(t *testing.T) {
	w := stale(nil)
	me, err := user.Current()
	if err != nil {
		t.Skipf("there is nobody with a home: %v", err)
	}
	for _, c := range []struct {
		kind File
		want string
	}{
		{File{Path: "/etc/hosts", Stack: "stack.alice"}, "/etc/hosts"},
		{File{Path: "out/app.js", Stack: "stack.alice"}, "/home/alice/alice/out/app.js"},
		{File{Path: "out/app.js", Account: lab.AccountName(me.Username)}, filepath.Join(me.HomeDir, "out/app.js")},
		{File{Path: "../x", Stack: "stack.alice", Account: lab.AccountName(me.Username)}, filepath.Join(me.HomeDir, "../x")},
	} {
		if got, err := c.kind.where(w); err != nil || got != c.want {
			t.Errorf("%+v: %s, %v; want %s", c.kind, got, err, c.want)
		}
	}
}
