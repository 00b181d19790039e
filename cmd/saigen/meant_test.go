package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
)

func TestSplitFilters(t *testing.T) {
	for _, arg := range []string{"debian:bookworm", "!debian:trixie", "a:b", "go:1.21", "!a/b:c"} {
		if labs, filters := splitFilters([]string{arg}); len(labs) > 0 || !slices.Equal(filters, []string{arg}) {
			t.Errorf("%s is no filter", arg)
		}
	}
	for arg, address := range map[string]bool{
		"labs/a": false, "a": false, "./a:b": false, "./a::b": false, "/srv/a:b": false, `C:\labs`: false,
		"git::https://h.test/r//a?ref=main": true, "https://h.test/l.zip": true, "file:///etc": true, "s3::x": true, "git@h.test:a/b": true, "git@h.test:a": true,
		"ssh://git@h.test/a": true,
	} {
		labs, filters := splitFilters([]string{arg})
		if len(filters) > 0 || !slices.Equal(labs, []string{arg}) || isAddress(arg) != address {
			t.Errorf("%s: a lab %v, an address %v", arg, labs, isAddress(arg))
		}
	}
}

func TestAffordable(t *testing.T) {
	machines := func(from string, sizes ...lab.Size) []*lab.Lab {
		l := &lab.Lab{Name: "x", From: from}
		for _, s := range sizes {
			l.Machines = append(l.Machines, lab.Machine{Memory: s})
		}
		return []*lab.Lab{l}
	}
	const gib = 1 << 30
	for _, c := range []struct {
		labs   []*lab.Lab
		memory int64
		want   bool
	}{
		{machines("git::x", ""), 2 * gib, true},
		{machines("git::x", ""), 2*gib - 1, false},
		{machines("git::x", "2GiB", "512MiB"), 5 * gib, true},
		{machines("git::x", "2GiB", "513MiB"), 5 * gib, false},
		{machines("git::x", "8000000000GiB", "8000000000GiB"), 5 * gib, false},
		{machines("git::x", "2GiB"), 0, true}, // not known
		{machines("", "2GiB"), gib, true},     // one's own
	} {
		if err := affordable(c.labs, c.memory); (err == nil) != c.want {
			t.Errorf("%v with %d MiB: %v", c.labs[0].Machines, c.memory>>20, err)
		}
	}
}

// What went into the images of a fetched lab is held against the lock that came with it, and from the first run of one's own on
// against that; nothing is written to what was fetched.
func TestLockOfFetchedLab(t *testing.T) {
	fetched, state := t.TempDir(), filepath.Join(t.TempDir(), "locks", "abc.git", "x")
	built := func(version string) image.Built {
		return image.Built{Image: lab.Image{Name: "host", Debian: "bookworm"}, Role: image.Machine, Packages: []image.Package{{Name: "podman", Version: version}}}
	}
	var shipped image.Lock
	shipped.Update(built("4.3.1"))
	if err := shipped.Write(fetched); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(fetched, image.LockName))
	if err != nil {
		t.Fatal(err)
	}
	l := &lab.Lab{Images: []lab.Image{built("").Image}}
	drift := func(version string, accept bool) []string {
		k, err := openLock(&labfile.File{Dir: fetched}, &origin{lock: state})
		if err != nil {
			t.Fatal(err)
		}
		k.declared = l.Images
		k.add(l, built(version))
		told := k.drift(l)
		if err := k.save(accept); err != nil {
			t.Fatal(err)
		}
		return told
	}
	for i, c := range []struct {
		version string
		accept  bool
		want    int
	}{{"4.3.1", false, 0}, {"5.4.2", false, 1}, {"5.4.2", true, 1}, {"5.4.2", false, 0}, {"4.3.1", false, 1}} {
		if told := drift(c.version, c.accept); len(told) != c.want {
			t.Errorf("run %d: %v", i+1, told)
		}
	}
	if after, err := os.ReadFile(filepath.Join(fetched, image.LockName)); err != nil || string(after) != string(before) {
		t.Errorf("the lock that came with the lab was changed: %v", err)
	}
	if left, err := os.ReadDir(state); err != nil || len(left) != 1 {
		t.Errorf("in the state: %v, %v", left, err)
	}
}
