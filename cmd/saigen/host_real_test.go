package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
	"github.com/saigen-lab/saigen/runner"
)

// These tests show that the host is the same after saigen as before: they start the real binary on a real lab.
//
//	SAIGEN_REAL=1            run them
//	SAIGEN_TEST_CACHE=DIR    where images are kept (XDG_CACHE_HOME); otherwise the user's cache, so that they are built once
//	SAIGEN_SHARED_HOST=1     other things happen on this host: only what carries the run's id is compared

// buildTime bounds the making of images, which happens when the cache has none; armTime the start of an arm.
const (
	buildTime = 25 * time.Minute
	armTime   = 3 * time.Minute
)

// realHost is the binary with folders of its own, and the host as it was before.
type realHost struct {
	t       *testing.T
	binary  string
	dir     string // HOME, state and the lab
	env     []string
	watched []string // folders in which a run could leave files
	before  ledger.Inventory
	cgroup  *os.File // in which every saigen begins: what it leaves behind can be told from what else happens on the host
	driver  string   // of the runs
	leaves  []string // what a run with it has on the host while it is there: the beginnings of ledger.Leftover.What
}

// newRealHost builds the binary, copies the lab stale-dns, and looks at the host.
func newRealHost(t *testing.T) *realHost {
	t.Helper()
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("starts real machines; set SAIGEN_REAL=1")
	}
	if os.Geteuid() != 0 {
		t.Fatal("the container driver needs root")
	}
	cache := os.Getenv("SAIGEN_TEST_CACHE")
	if cache == "" {
		var err error
		if cache, err = os.UserCacheDir(); err != nil {
			t.Fatal(err)
		}
	}
	h := &realHost{t: t, dir: t.TempDir(), driver: "container", leaves: []string{"process ", "namespace ", "cgroup ", "file /run/saigen/"}}
	h.binary = filepath.Join(h.dir, "saigen")
	build := exec.Command("go", "build", "-o", h.binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build saigen: %v\n%s", err, out)
	}
	if err := os.CopyFS(filepath.Join(h.dir, "stale-dns"), os.DirFS(filepath.Join(repository(), "labs", "stale-dns"))); err != nil {
		t.Fatal(err)
	}
	h.env = append(os.Environ(), "XDG_CACHE_HOME="+cache, "XDG_STATE_HOME="+filepath.Join(h.dir, "state"), "TMPDIR="+h.tmp())
	if err := os.Mkdir(h.tmp(), 0o1777); err != nil {
		t.Fatal(err)
	}
	// Not the cache, in which images stay, and not h.dir, in which the evidence does.
	h.watched = []string{"/run", "/var/lib/containers", "/var/lib/cni", "/etc/cni", "/etc/containers", "/var/tmp", "/dev/shm"}
	h.ownCgroup()
	h.before = h.look()
	return h
}

// ownCgroup makes the cgroup in which the saigens of this test are started.
func (h *realHost) ownCgroup() {
	h.t.Helper()
	v2, err := ledger.OpenHierarchy()
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = v2.Close() })
	if h.cgroup, err = v2.Make(fmt.Sprintf("saigen-test-%d", os.Getpid())); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = h.cgroup.Close()
		if err := v2.Remove(context.Background(), filepath.Base(h.cgroup.Name())); err != nil {
			h.t.Error(err)
		}
	})
}

func (h *realHost) look() ledger.Inventory {
	h.t.Helper()
	v, err := ledger.Take(h.watched...)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

func (h *realHost) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, h.binary, args...)
	cmd.Dir, cmd.Env = h.dir, h.env
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(h.cgroup.Fd())}
	return cmd
}

// saigen runs a command to its end, which must come within a time and be good, and returns its stdout.
func (h *realHost) saigen(within time.Duration, args ...string) string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), within)
	defer cancel()
	cmd := h.command(ctx, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it cleans up
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	h.t.Logf("saigen %s: %.1f s", strings.Join(args, " "), time.Since(began).Seconds())
	if err != nil {
		h.t.Fatalf("saigen %s: %v\n%s%s", strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String()
}

// run is the id of the newest run.
func (h *realHost) run() lab.RunID {
	folders, err := os.ReadDir(h.runs())
	if err != nil || len(folders) == 0 {
		return ""
	}
	return lab.RunID(folders[len(folders)-1].Name())
}

func (h *realHost) tmp() string { return filepath.Join(h.dir, "tmp") }

func (h *realHost) runs() string { return filepath.Join(h.dir, "state", "saigen", "runs") }

// reached says whether the run's events have come to a phase of the fault arm.
func (h *realHost) reached(phase string) bool {
	data, err := os.ReadFile(filepath.Join(h.runs(), string(h.run()), runner.EventsFile))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(data) {
		var e runner.Event
		if json.Unmarshal(line, &e) == nil && e.Type == runner.PhaseStarted && e.Arm == runner.Fault && e.Phase == phase {
			return true
		}
	}
	return false
}

// made demands that the comparison sees what a run has made, so that it can see what is left.
func (h *realHost) made(run lab.RunID) {
	h.t.Helper()
	found := h.before.Left(h.look(), ledger.OfRun(run))
	for _, what := range h.leaves {
		n := 0
		for _, l := range found {
			if strings.HasPrefix(l.What, what) {
				n++
			}
		}
		h.t.Logf("while the run is there: %d new of %q", n, what)
		if n == 0 {
			h.t.Errorf("the comparison sees no %q of the run", what)
		}
	}
}

// same demands that the host is as it was. Processes that were killed may need a moment to be gone.
func (h *realHost) same(run lab.RunID) {
	h.t.Helper()
	shared := os.Getenv("SAIGEN_SHARED_HOST") != ""
	scope := ledger.EverythingOf(filepath.Base(h.cgroup.Name()), run)
	if shared {
		scope = ledger.OfRun(run)
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	var after ledger.Inventory
	var differences []string
	await(ctx, func() bool {
		after, differences = h.look(), nil
		for _, l := range h.before.Left(after, scope) {
			differences = append(differences, "new: "+l.String())
		}
		for _, l := range after.Left(h.before, scope) {
			switch kind, _, _ := strings.Cut(l.What, " "); kind {
			case "process", "namespace", "cgroup": // may end by themselves
			default:
				differences = append(differences, "gone: "+l.What)
			}
		}
		return len(differences) == 0
	})
	h.t.Logf("before: %s", h.before)
	h.t.Logf("after:  %s", after)
	h.t.Logf("compared everything: %v; %d differences", !shared, len(differences))
	for _, d := range differences {
		h.t.Error(d)
	}
	if files, err := os.ReadDir(h.tmp()); err != nil || len(files) > 0 {
		h.t.Errorf("left in TMPDIR: %v, %v", files, err)
	}
	// The evidence stays, and nothing else.
	err := filepath.WalkDir(h.runs(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "scratch" {
			h.t.Errorf("left: %s", path)
		}
		return err
	})
	if err != nil {
		h.t.Error(err)
	}
}

// variant is the one that the tests use: the fault takes long enough to be killed in.
var variant = []string{"stale-dns", "debian:bookworm", "trigger:port_taken"}

// stopped starts a run, sends it a signal when it injects its fault, and waits for its end. In between look is called.
func (h *realHost) stopped(signal os.Signal, look func(lab.RunID)) (run lab.RunID, exit int, said string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), buildTime+armTime)
	defer cancel()
	cmd := h.command(ctx, append([]string{"run", "--driver", h.driver}, variant...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	early := false
	reached := await(ctx, func() bool {
		select {
		case <-ended:
			early = true
		default:
		}
		return early || h.reached(string(runner.Inject))
	})
	run = h.run()
	if reached && !early {
		look(run)
	}
	_ = cmd.Process.Signal(signal)
	<-ended
	if early || !reached {
		h.saigen(armTime, "gc")
		h.t.Fatalf("the fault arm never came to the fault (the run ended: %v):\n%s", early, out.Bytes())
	}
	h.t.Logf("run %s got the signal %q when it injected the fault", run, signal)
	return run, cmd.ProcessState.ExitCode(), out.String()
}

func TestKilledInTheMiddleOfAnArm(t *testing.T) { newRealHost(t).killed() }

// A VM outlives the saigen that started it, and whoever has cleaned up after it sees none.
func TestKilledWhileAVMRuns(t *testing.T) {
	h := newRealHost(t)
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("there is no qemu-system-x86_64")
	}
	h.driver, h.leaves = "qemu", []string{"process ", "file /run/saigen/"}
	h.killed()
}

func (h *realHost) killed() {
	t := h.t
	run, _, _ := h.stopped(os.Kill, h.made)
	h.made(run) // of a process that is gone
	if list := h.saigen(time.Minute, "gc", "--dry-run"); !strings.Contains(list, string(run)) {
		t.Errorf("gc --dry-run does not list the run: %s", list)
	}
	h.made(run) // gc --dry-run removes nothing
	if said := h.saigen(armTime, "gc"); !strings.Contains(said, "removed") {
		t.Errorf("gc says %q", said)
	}
	h.same(run)
	if again := h.saigen(time.Minute, "gc"); !strings.Contains(again, "nothing is left of any killed run") {
		t.Errorf("gc again says %q", again)
	}
}

func TestInterruptedInTheMiddleOfAnArm(t *testing.T) {
	h := newRealHost(t)
	run, exit, said := h.stopped(os.Interrupt, h.made)
	if exit != runner.ExitInterrupted || !strings.Contains(said, "stopping: healing and destroying") {
		t.Errorf("exit code %d:\n%s", exit, said)
	}
	h.same(run)
	if said := h.saigen(time.Minute, "gc"); !strings.Contains(said, "nothing is left of any killed run") {
		t.Errorf("gc says %q", said)
	}
}

func TestUpAndDown(t *testing.T) {
	h := newRealHost(t)
	down := false
	t.Cleanup(func() {
		if !down && h.run() != "" {
			_ = h.command(context.Background(), "down", "--all").Run()
			_ = h.command(context.Background(), "gc").Run()
		}
	})
	shown := h.saigen(buildTime+armTime, append([]string{"up"}, variant...)...)
	if !strings.Contains(shown, "symptom.dns_answers.dead_addresses") {
		t.Errorf("up does not show the symptom: %s", shown)
	}
	run := h.run()
	h.made(run)
	if ps := h.saigen(time.Minute, "exec", "--account", "alice", "--", "podman", "ps"); !strings.Contains(ps, "proxy") || !strings.Contains(ps, "app") {
		t.Errorf("alice's podman ps: %s", ps)
	}
	if id := h.saigen(time.Minute, "exec", "--account", "bob", "--", "id", "-un"); id != "bob\n" {
		t.Errorf("bob is %q", id)
	}
	cmd := h.command(t.Context(), "exec", "--", "sh", "-c", "exit 7")
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("the exit code of a command is not saigen's: %v", err)
	}
	if logs := h.saigen(time.Minute, "logs"); !strings.Contains(logs, "systemd[1]") {
		t.Errorf("the journal of the machine has no line of its init: %d bytes", len(logs))
	}
	if logs := h.saigen(time.Minute, "logs", "--container", "proxy", "--account", "alice"); !strings.Contains(logs, "GET / HTTP/1.1") {
		t.Errorf("alice's proxy has served nothing: %s", logs)
	}
	if state := h.saigen(time.Minute, "runs"); !strings.Contains(state, " up ") {
		t.Errorf("runs does not show that it is up: %s", state)
	}
	if said := h.saigen(armTime, "gc"); !strings.Contains(said, "nothing is left") {
		t.Errorf("gc takes a run that is kept for a dead one: %s", said)
	}
	h.saigen(armTime, "down")
	down = true
	h.same(run)
}
