package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/ledger"
	"github.com/saigen-lab/saigen/runner"
)

// Other runs may go on on the host; these ids are of no time at which saigen ran.
const (
	deadRun, keptRun, liveRun, endedRun, strayRun = "19700101-000000-dead", "19700101-000000-0001", "19700101-000000-0002", "19700101-000000-0003", "19700101-000000-0004"
	foreignRun                                    = "19700101-000000-0005"
)

// Every run is told from every other by its ledger and by who holds it; what no ledger names is nobody's.
func TestLookForLeaks(t *testing.T) {
	root := t.TempDir()
	p := paths{cache: filepath.Join(root, "cache"), runs: filepath.Join(root, "state", "saigen", "runs"), runtime: filepath.Join(root, "run")}
	mkdir := func(elem ...string) string {
		t.Helper()
		dir := filepath.Join(elem...)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	open := func(runs, id string) *ledger.Ledger {
		t.Helper()
		dir := mkdir(runs, id)
		l, err := ledger.Open(dir, lab.RunID(id))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Record(ledger.Entry{Kind: ledger.KindDirectory, Path: mkdir(dir, "scratch")}); err != nil {
			t.Fatal(err)
		}
		return l
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(open(p.runs, deadRun).Close())
	up := open(p.runs, keptRun)
	must(up.Keep())
	must(up.Close())
	live := open(p.runs, liveRun)
	ended := open(p.runs, endedRun)
	must(errors.Join(ended.Undo(t.Context()), ended.Close()))
	mkdir(p.runtime, deadRun+"-control")
	mkdir(p.runtime, strayRun)
	half := mkdir(p.cache, "images", "abc.tmp-1")
	t.Setenv("TMPDIR", mkdir(root, "tmp"))
	asked := mkdir(root, "tmp", "saigen-vagrant-1")
	// Of another state folder, which only a process shows.
	elsewhere := filepath.Join(root, "other", "saigen", "runs")
	must(open(elsewhere, foreignRun).Close())
	labtest.Idle(t, "/bin/sh", "saigen-"+strayRun)
	labtest.Idle(t, "/bin/sh", filepath.Join(elsewhere, foreignRun, "scratch", "sh"))

	w := &world{log: slog.New(slog.DiscardHandler)}
	s := w.lookForLeaks(t.Context(), p)
	if len(s.failed) > 0 {
		t.Errorf("not all could be looked at: %v", s.failed)
	}
	tell := func() string {
		var out bytes.Buffer
		w.stdout = &out
		_ = w.tellLeaks(s, p)
		return out.String()
	}
	text := tell()
	for _, want := range []string{
		"run " + deadRun + ": its saigen was killed\n  directory " + p.runs + "/" + deadRun + "/scratch\n  sockets " + p.runtime + "/" + deadRun + "-control\n  remove it with: saigen gc\n",
		"run " + keptRun + ": left running\n  directory " + p.runs + "/" + keptRun + "/scratch\n  remove it with: saigen down " + keptRun + "\n",
		"run " + liveRun + ": under way, by process ",
		"run " + foreignRun + ": its saigen was killed\n  directory " + elsewhere + "/" + foreignRun + "/scratch\n  1 process\n  remove it with: XDG_STATE_HOME=" + root + "/other saigen gc\n",
		"run " + strayRun + ": no ledger names it\n  process ",
		"  sockets " + p.runtime + "/" + strayRun + "\n    remove it with: rm -rf " + p.runtime + "/" + strayRun + "\n",
		"  half-made entry of the cache " + half + "\n    remove it with: saigen gc\n",
		"  folder " + asked + "\n    remove it with: saigen gc\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say\n%s", want)
		}
	}
	if strings.Contains(text, endedRun) {
		t.Error("a run that ended and left nothing is listed")
	}
	if t.Failed() {
		t.Log(text)
	}

	// A ledger that ends meanwhile leaves nothing of its run; scratch without a ledger is nobody's.
	must(errors.Join(live.Undo(t.Context()), live.Close()))
	mkdir(p.runs, endedRun, "scratch")
	s = w.lookForLeaks(t.Context(), p)
	if text := tell(); strings.Contains(text, liveRun) || !strings.Contains(text, "run "+endedRun+": no ledger names it\n  scratch ") {
		t.Errorf("after that it says\n%s", text)
	}
}

func TestLeaksExitCode(t *testing.T) {
	trace := []ledger.Trace{{Leftover: ledger.Leftover{What: "process 1 (x)", Fix: "kill -9 1"}}}
	look := []error{errors.New("cannot look")}
	for _, c := range []struct {
		s    survey
		code int
		last string
	}{
		{survey{}, 0, "nothing of saigen's is on this host"},
		{survey{building: []string{"/c/images/x.tmp-1"}}, 0, "nothing is left that nobody takes care of"},
		{survey{runs: []*presence{{id: keptRun, whose: kept}, {id: liveRun, whose: underWay}}}, 0, "nothing is left that nobody takes care of"},
		{survey{runs: []*presence{{id: keptRun, whose: kept}}, failed: look}, runner.ExitInconclusive, "not all could be looked at"},
		{survey{runs: []*presence{{id: deadRun, whose: abandoned}}, failed: look}, runner.ExitUnexpected, "something is left"},
		{survey{runs: []*presence{{id: strayRun, traces: trace}}}, runner.ExitUnexpected, "something is left"},
		{survey{runs: []*presence{{traces: trace}}}, runner.ExitUnexpected, "something is left"},
	} {
		var out bytes.Buffer
		w := &world{stdout: &out}
		code := 0
		if e := (*exitError)(nil); errors.As(w.tellLeaks(&c.s, paths{}), &e) {
			code = e.code
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if code != c.code || !strings.Contains(lines[len(lines)-1], c.last) {
			t.Errorf("exit code %d, want %d with %q:\n%s", code, c.code, c.last, out.String())
		}
	}
}
