package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/image"
)

// TestFetchedLab runs a lab of docs/examples that a server of git repositories gives out, in a real virtual machine. The
// command is this test's binary, the only one that takes a server of this host for one elsewhere.
func TestFetchedLab(t *testing.T) {
	h := newRealHost(t)
	h.binary = filepath.Join(h.dir, "bin", "saigen") // the name by which TestMain knows that it is the command
	build := exec.Command("go", "test", "-c", "-o", h.binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // it is the machine's agent, too
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build saigen for the test: %v\n%s", err, out)
	}
	ca, site, labs := filepath.Join(h.dir, "ca.pem"), filepath.Join(h.dir, "elsewhere"), filepath.Join(h.dir, "labs")
	if err := os.CopyFS(filepath.Join(labs, "nginx-typo"), os.DirFS(filepath.Join(repository(), "docs", "examples", "nginx-typo"))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(filepath.Join(labs, "nginx-typo", image.LockName)), os.Mkdir(site, 0o755)); err != nil {
		t.Fatal(err)
	}
	commit, err := commitFolder(filepath.Join(site, "labs.git"), labs)
	if err != nil {
		t.Fatal(err)
	}
	e, err := newElsewhere(site, ca)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	h.env = append(h.env, "ELSEWHERE="+ca)
	for _, v := range h.env { // the cache is the user's, and what was fetched for this test is of no use to him
		if cache, ok := strings.CutPrefix(v, "XDG_CACHE_HOME="); ok {
			t.Cleanup(func() { _ = os.RemoveAll(filepath.Join(cache, "saigen", "fetched", commit+".git")) })
		}
	}

	began := time.Now()
	out := h.saigen(buildTime, "run", "git::"+e.URL+"/labs.git//nginx-typo?ref=main")
	t.Logf("fetched, run and judged in %.1f s", time.Since(began).Seconds())
	for _, want := range []string{
		"fetched from git::" + e.URL + "/labs.git//nginx-typo?ref=" + commit + ": nobody of this host vouches for it",
		"driver qemu: the lab was fetched", "reproduced, as expected",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	run := h.run()
	h.same(run)

	// What went into its images is remembered in the state of the user, and its evidence needs no server.
	e.Close()
	locks, err := filepath.Glob(filepath.Join(h.dir, "state", "saigen", "locks", commit+".git", "nginx-typo", image.LockName))
	if err != nil || len(locks) != 1 {
		t.Errorf("locks of packages in the user's state: %v, %v", locks, err)
	}
	for _, args := range [][]string{{"judge"}, {"judge", "--frozen"}, {"show"}, {"list", "git::" + e.URL + "/labs.git//nginx-typo?ref=main"}} {
		if out := h.saigen(armTime, args...); !strings.Contains(out, "reproduced") {
			t.Errorf("saigen %s says\n%s", strings.Join(args, " "), out)
		}
	}
}
