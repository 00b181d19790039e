package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/runner"
	"github.com/saigen-lab/saigen/stack"
)

// staleDNS is the first lab as its file has it now.
func staleDNS(t *testing.T) []*lab.Lab {
	t.Helper()
	f, diags := labfile.Load(filepath.Join(repository(), "labs", "stale-dns"), testKinds(), stack.Read)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var all []*lab.Lab
	for _, v := range f.Variants() {
		all = append(all, f.Lab(v))
	}
	return all
}

func frozen(t *testing.T, l *lab.Lab) *lab.Lab {
	t.Helper()
	data, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	again, err := labfile.Frozen(data, testKinds())
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// What a run freezes is all that a judgement needs: a frozen lab is the lab.
func TestFrozenIsTheLab(t *testing.T) {
	for _, l := range staleDNS(t) {
		again := frozen(t, l)
		a, _ := json.Marshal(l)
		b, _ := json.Marshal(again)
		if !bytes.Equal(a, b) {
			t.Errorf("%s: was\n%s\nis\n%s", l.Variant, a, b)
		}
		if why := runner.Differs(again, l); len(why) > 0 {
			t.Errorf("%s: %v", l.Variant, why)
		}
		for i, s := range again.Symptoms {
			if s.Do == nil || fmt.Sprintf("%T", s.Do) != fmt.Sprintf("%T", l.Symptoms[i].Do) {
				t.Errorf("%s is a %T", s.Address(), s.Do)
			}
		}
	}
}

func TestFrozenRefuses(t *testing.T) {
	good, err := json.Marshal(staleDNS(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"name":"stale-dns"`, `"name":""`, "it has no name"},
		{`"p95":"over 3s"`, `"p95":"ofer 3s"`, `symptom.http_latency.slow_pages of the frozen lab: p95: "ofer 3s" is not a limit`},
		{`"p95":"over 3s"`, `"q95":"over 3s"`, `unknown field "q95"`},
		{`"time":"2.9s to 3.5s"`, `"time":"over 3.5s"`, "both ends are needed"},
		{`"kind":"log"`, `"kind":"lg"`, `this saigen knows no kind "lg"`},
		{`"within":"60s"`, `"within":"60"`, `within: "60" is not a duration`},
		{`"soak":"4s"`, `"soak":"later"`, `remedy.forget_the_network of the frozen lab: soak: "later" is not a duration`},
		{`{"name"`, `"name"`, "cannot read the frozen lab"},
	} {
		data := strings.Replace(string(good), c.old, c.new, 1)
		if data == string(good) {
			t.Fatalf("the lab has no %s", c.old)
		}
		if _, err := labfile.Frozen([]byte(data), testKinds()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", c.new, err, c.want)
		}
	}
}

func TestSetLimit(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{"symptom.http_latency.slow_pages.p95=over 60s", ""},
		{"symptom.http_latency.slow_pages.p99=over 60s", ""}, // one that the lab does not use
		{"symptom.http_latency.slow_pages.per_line.time=1s to 2s", ""},
		{"symptom.dns_answers.eight_answers.size=140", ""},
		{"symptom.dns_answers.eight_answers.twice=false", ""},
		{"symptom.log.no_route.within=5s", ""},
		{"invariant.http.bob_is_served.time = under 1s", ""},
		{"symptom.dns_answers.eight_answers.size=many", "cannot unmarshal string"},
		{"symptom.http_latency.no_lines.per_line.time=1s to 2s", `no block "per_line"`},
		{"symptom.http_latency.slow_pages.url=https://localhost/", `"url" is no limit of a http_latency`},
		{"symptom.http_latency.slow_pages.p95=0", "is not a limit"},
		{"symptom.http_latency.slow_pages.within=soon", "is not a duration"},
		{"symptom.http_latency.slow_pages.within=0s", "longer than nothing"},
		{"invariant.process.bobs_dns_runs.count=at least 0", "every number is in the limit"},
		{"invariant.process.bobs_dns_runs.within=5s", `"within" is no limit of a process. Its limits are "count"`},
	} {
		l := frozen(t, staleDNS(t)[0])
		plain := l.Symptoms[slices.IndexFunc(l.Symptoms, func(a lab.Assertion) bool { return a.Kind == "http_latency" })]
		plain.Name, plain.Settings = "no_lines", json.RawMessage(`{"stack": "stack.alice", "url": "https://localhost:4430/", "p95": "over 3s"}`)
		l.Symptoms = append(l.Symptoms, plain)
		l = frozen(t, l)
		was := frozen(t, l)
		err := labfile.SetLimit(l, testKinds(), c.set)
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %q", c.set, err, c.want)
		case err == nil && len(runner.Differs(was, l)) > 0:
			t.Errorf("%s: the lab is of another experiment: %v", c.set, runner.Differs(was, l))
		case err == nil:
			a, _ := json.Marshal(was)
			if b, _ := json.Marshal(l); bytes.Equal(a, b) {
				t.Errorf("%s changed nothing", c.set)
			}
		}
	}
}

func TestDiffers(t *testing.T) {
	for _, c := range []struct {
		change func(*lab.Lab)
		want   string
	}{
		{func(l *lab.Lab) { l.Title, l.Expect = "other", lab.NotReproduced }, ""},
		{func(l *lab.Lab) { l.Symptoms[0].Within = "1s" }, ""},
		{func(l *lab.Lab) { l.Remedies[0].Cures = true }, ""},
		{func(l *lab.Lab) { l.Symptoms = l.Symptoms[1:] }, "symptom.dns_answers.dead_addresses was observed, and the lab does not have it any more"},
		{func(l *lab.Lab) { l.Symptoms[0].Name = "x" }, "symptom.dns_answers.dead_addresses was observed, and the lab does not have it any more; symptom.dns_answers.x is new: it was not observed"},
		{func(l *lab.Lab) { l.Symptoms[0].Every = "2s" }, "symptom.dns_answers.dead_addresses was observed in another way (every 500ms, now 2s): the observations were made by another probe"},
		{func(l *lab.Lab) { l.Invariants[0].Machine = "machine.x" }, "invariant.http.bob_is_served was observed in another way (machine): the observations were made by another probe"},
		{func(l *lab.Lab) { l.Faults[0].Settings = json.RawMessage(`{}`) }, "fault.container_churn.deploys_that_die was injected with other settings"},
		{func(l *lab.Lab) { l.Faults = nil }, "fault.container_churn.deploys_that_die was injected, and the lab does not have it any more"},
		{func(l *lab.Lab) { l.Remedies[3].Run = "other.sh" }, "remedy.forget_the_network was applied in another way"},
	} {
		then, now := staleDNS(t)[0], staleDNS(t)[0]
		c.change(now)
		if got := strings.Join(runner.Differs(then, now), "; "); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// A run of stale-dns is judged again in less than 0.3 s: the longest that it can have, with every look of a minute.
func TestJudgeIsQuick(t *testing.T) {
	l := staleDNS(t)[0]
	folder := filepath.Join(t.TempDir(), "bookworm,port_taken,1")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	end := start.Add(time.Minute)
	o := runner.Outcome{Arms: []runner.Arm{
		{Name: runner.Fault, Phases: []runner.Phase{{Kind: runner.InForce, Start: start, End: end}}},
		{Name: runner.Control, Phases: []runner.Phase{{Kind: runner.Hold, Start: start, End: end}}},
	}}
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	n := 0
	for _, arm := range []string{runner.Fault, runner.Control} {
		for _, a := range append(append([]lab.Assertion{}, l.Symptoms...), l.Invariants...) {
			for at := start; at.Before(end); at = at.Add(a.Every.Value()) {
				n++
				_ = enc.Encode(runner.StoredObservation{Arm: arm, Phase: "fault", Address: a.Address(), Observation: lab.Observation{
					At: at, Took: time.Millisecond, Summary: "200 in 0.006 s",
					Values: map[string]float64{"status": 200, "seconds": float64(n%7) / 1000, "connect_seconds": 0.001, "processes": 1},
				}})
			}
		}
	}
	for name, v := range map[string]any{runner.LabFile: l, runner.VerdictFile: o} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, runner.ObservationsFile), lines.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	w := &world{kinds: testKinds()}
	best := time.Hour
	for range 3 { // other tests have the host too
		began := time.Now()
		trials, err := runner.ReadTrials(filepath.Dir(folder), w.thaw)
		if err != nil {
			t.Fatal(err)
		}
		if got := trials[0].Again(trials[0].Lab); got.Verdict != lab.NotReproduced {
			t.Fatalf("%s: %s", got.Verdict, got.Because)
		}
		best = min(best, time.Since(began))
	}
	t.Logf("%d observations in %s", n, best)
	if best > 300*time.Millisecond {
		t.Errorf("it took %s", best)
	}
}
