package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRuntimeFolder(t *testing.T) {
	mine, err := os.MkdirTemp("/tmp", "r")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(mine)
	uid := 54321 // who has no /run/user
	if os.Geteuid() == 0 {
		if err := os.Chown(mine, uid, uid); err != nil {
			t.Fatal(err)
		}
	} else {
		uid = os.Getuid()
	}
	long := filepath.Join(mine, strings.Repeat("x", longestRuntime))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	for xdg, want := range map[string]string{
		mine:                           filepath.Join(mine, "saigen"),
		long:                           "/tmp/saigen-",
		"/":                            "/tmp/saigen-", // somebody else's
		filepath.Join(mine, "nowhere"): "/tmp/saigen-",
		"relative":                     "/tmp/saigen-",
	} {
		got := runtimeFolder(uid, xdg)
		if uid == os.Getuid() && strings.HasPrefix(got, "/run/user/") {
			continue // this user has one besides
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("XDG_RUNTIME_DIR=%s: %s, want %s", xdg, got, want)
		}
	}
	if got := runtimeFolder(0, mine); got != "/run/saigen" {
		t.Errorf("root has %s", got)
	}
}

func TestRuntimeFolderIsPrivate(t *testing.T) {
	dir := t.TempDir()
	p := paths{runtime: filepath.Join(dir, "r")}
	if err := p.private(); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(p.runtime); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if err := os.Chmod(p.runtime, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := p.checkRuntime(); err == nil {
		t.Error("a folder that everybody can write to is taken")
	}
	link := paths{runtime: filepath.Join(dir, "link")}
	if err := os.Symlink(dir, link.runtime); err != nil {
		t.Fatal(err)
	}
	if err := link.private(); err == nil {
		t.Error("a link is taken")
	}
	if err := (paths{runtime: filepath.Join(dir, "nowhere")}).checkRuntime(); err != nil {
		t.Errorf("a folder that is not there: %v", err)
	}
}
