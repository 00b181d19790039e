package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// The short form of make torture. It needs the root, podman, and the images of the small labs, which are built when missing.
//
//	SAIGEN_REAL=1            run it
//	SAIGEN_TEST_CACHE=DIR    where images are taken from (XDG_CACHE_HOME); otherwise the user's cache
//	SAIGEN_SHARED_HOST=1     other things happen on this host: only what carries the run's id is compared

// realHost is a host with a saigen of this checkout.
func realHost(t *testing.T, name string) *host {
	t.Helper()
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("starts real machines; set SAIGEN_REAL=1")
	}
	if why := lacks("podman", "runc")(); why != "" {
		t.Skip(why)
	}
	binary := filepath.Join(t.TempDir(), "saigen")
	build := exec.Command("go", "build", "-o", binary, "./cmd/saigen")
	build.Dir, build.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build saigen: %v\n%s", err, out)
	}
	repository, err := filepath.Abs("..")
	must(t, err)
	whole, err := openHost(options{saigen: binary}, repository)
	must(t, err)
	t.Cleanup(func() {
		if err := whole.close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	h, err := whole.scenario(name, t.Logf)
	must(t, err)
	return h
}

// kept demands that saigen kept its promise at every point.
func kept(t *testing.T, f figures, err error, least int) {
	t.Helper()
	must(t, err)
	points := 0
	for _, one := range f {
		points += one.Points
		t.Logf("%s: %d points, %d leaks, %d damaged, %d wrong, slowest clean-up %s, %v", one.What, one.Points, one.Leaks, one.Damaged, one.Wrong, one.Slowest, one.Outcomes)
	}
	for _, line := range f.failures() {
		t.Error(line)
	}
	if points < least {
		t.Errorf("%d points instead of %d", points, least)
	}
}

func TestSweepOnContainer(t *testing.T) {
	h := realHost(t, "sweep")
	all := slices.DeleteFunc(targets(), func(t target) bool { return t.driver != "container" })
	f, err := (&sweeper{h: h}).sweep(t.Context(), all, 9) // a few of run, and one of each other
	kept(t, f, err, 5)
}

// The snapshot is made once, so that two points on qemu take no longer than those on container.
func TestSweepOnQEMU(t *testing.T) {
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("there is no qemu-system-x86_64")
	}
	h := realHost(t, "sweep")
	all := slices.DeleteFunc(targets(), func(t target) bool { return t.name != "run on qemu" })
	f, err := (&sweeper{h: h}).sweep(t.Context(), all, 6)
	kept(t, f, err, 1)
}

func TestTheEngineDies(t *testing.T) {
	h := realHost(t, "deaths")
	h.at = "the engine's podman, container at the fault"
	f, err := die(t.Context(), h)
	kept(t, f, err, 1)
}
