package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

func builtOf(suite string, versions ...string) Built {
	b := Built{Image: lab.Image{Name: "host", Debian: suite}, Role: Machine}
	for i := 0; i < len(versions); i += 2 {
		b.Packages = append(b.Packages, Package{Name: versions[i], Version: versions[i+1], Arch: "all"})
	}
	return b
}

func TestDrift(t *testing.T) {
	l := &Lock{}
	was := builtOf("bookworm", "podman", "4.3.1+ds1-8+deb12u1+b3", "runc", "1.1.5", "same", "1")
	if l.Has(was) || len(l.Drift(was)) != 0 {
		t.Error("an empty lock knows the image")
	}
	if !l.Update(was) || l.Update(was) || !l.Has(was) {
		t.Error("the first update changes the lock, the second does not")
	}
	now := builtOf("bookworm", "podman", "4.3.1+ds1-8+deb12u2", "crun", "1.8", "same", "1")
	var got []string
	for _, d := range l.Drift(now) {
		got = append(got, d.String())
	}
	want := "crun: not in the lock → 1.8; podman 4.3.1+ds1-8+deb12u1+b3 → 4.3.1+ds1-8+deb12u2; runc 1.1.5 → gone"
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("drift %q, want %q", s, want)
	}
	if len(l.Drift(builtOf("trixie", "podman", "5.4.2"))) != 0 {
		t.Error("another suite has drift")
	}
	if !l.Update(now) || len(l.Drift(now)) != 0 {
		t.Error("the lock is not updated")
	}
}

func TestLockFile(t *testing.T) {
	dir := t.TempDir()
	l, err := ReadLock(dir)
	if err != nil || len(l.Images) != 0 {
		t.Fatal(l, err)
	}
	l.Update(builtOf("trixie", "podman", "5.4.2"))
	l.Update(builtOf("bookworm", "zlib", "1", "apt", "2"))
	if err := l.Write(dir); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(filepath.Join(dir, LockName))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(first), "\"apt\": \"2\",\n        \"zlib\": \"1\"\n") || strings.Index(string(first), "bookworm") > strings.Index(string(first), "trixie") {
		t.Errorf("the lock is\n%s", first)
	}
	again, err := ReadLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again.Update(builtOf("bookworm", "apt", "2", "zlib", "1")) {
		t.Error("a lock that was read differs from what was written")
	}
	if err := again.Write(dir); err != nil {
		t.Fatal(err)
	}
	if second, err := os.ReadFile(filepath.Join(dir, LockName)); err != nil || string(second) != string(first) {
		t.Errorf("written twice, it differs: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("in the folder: %v, %v", left, err)
	}
	write(t, filepath.Join(dir, LockName), "{")
	if _, err := ReadLock(dir); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a broken lock: %v", err)
	}
}

func TestLockOfVariants(t *testing.T) {
	l := &Lock{}
	base := builtOf("bookworm", "libc6", "2.36")
	base.Image.Packages = []string{"uidmap", "podman"}
	all := []Built{base}
	for _, change := range []func(*lab.Image){
		func(i *lab.Image) { i.Packages = []string{"podman"} },
		func(i *lab.Image) { i.Go = "agent" },
		func(i *lab.Image) { i.Go, i.Modules = "agent", map[string]string{"example.com/lib": "v1.0.0"} },
		func(i *lab.Image) { i.Go, i.Modules = "agent", map[string]string{"example.com/lib": "v1.1.0"} },
		func(i *lab.Image) { i.NPM = "site" },
		func(i *lab.Image) { i.Name = "other" },
	} {
		b := base
		change(&b.Image)
		b.Packages = []Package{{Name: "libc6", Version: "of the variant"}, {Name: "tar", Version: "1"}, {Name: "tar", Version: "7", From: fromNPM}}
		all = append(all, b)
	}
	for i, b := range all {
		if l.Has(b) || !l.Update(b) || len(l.Drift(b)) > 0 {
			t.Errorf("variant %d is another's", i)
		}
	}
	if got := l.Packages(all[1].Image); len(got) != 3 || got["tar"] != "1" || got["npm:tar"] != "7" {
		t.Errorf("the lock has %v", got)
	}
	same := base
	same.Image.Packages = []string{"podman", "uidmap"}
	if !l.Has(same) {
		t.Error("the order of the packages makes another image")
	}
	if l.Keep(images(all)) || !l.Keep(images(all[1:])) || l.Keep(images(all[1:])) {
		t.Error("Keep drops what is declared, or keeps what is not")
	}
	if l.Has(base) || l.Packages(base.Image) != nil || len(l.Images) != len(all)-1 {
		t.Errorf("the lock has %d images", len(l.Images))
	}
}

func images(all []Built) []lab.Image {
	var out []lab.Image
	for _, b := range all {
		out = append(out, b.Image)
	}
	return out
}
