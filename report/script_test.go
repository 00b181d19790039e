package report

import (
	"slices"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// A scripted run of stale-dns: what the runner tells of it, with made-up times.

const (
	dnsDead  = "symptom.dns_answers.dead_addresses"
	slow     = "symptom.http_latency.slow_pages"
	noRoute  = "symptom.log.no_route"
	bob      = "invariant.http.bob_is_served"
	soundDNS = "2 answers, 1 address, 0 dead, TTL 86400, 76 bytes"
	deadDNS  = "8 answers, 4 addresses, 3 dead, TTL 86400, 172 bytes"
)

var began = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func variant() lab.Variant {
	return lab.Variant{{Axis: "debian", Value: "bookworm"}, {Axis: "trigger", Value: "port_taken"}}
}

// script collects events while its clock goes on.
type script struct {
	at     time.Time
	arm    string
	phase  runner.Phase
	arms   []runner.Arm
	events []runner.Event
}

func (s *script) wait(d time.Duration) { s.at = s.at.Add(d) }

func (s *script) tell(e runner.Event) {
	e.At, e.Arm = s.at, s.arm
	if s.phase.Kind != "" {
		e.Phase = s.phase.Name()
	}
	if e.Type != runner.RunStarted && e.Type != runner.Prepared && e.Type != runner.RunEnded {
		e.Variant, e.Trial = variant().String(), 1
	}
	s.events = append(s.events, e)
}

func (s *script) begin(kind runner.PhaseKind, remedy string, budget time.Duration) {
	s.phase = runner.Phase{Kind: kind, Remedy: remedy, Start: s.at}
	s.tell(runner.Event{Type: runner.PhaseStarted, Budget: budget})
}

func (s *script) end() {
	s.phase.End = s.at
	s.arms[len(s.arms)-1].Phases = append(s.arms[len(s.arms)-1].Phases, s.phase)
	s.tell(runner.Event{Type: runner.PhaseEnded})
	s.phase = runner.Phase{}
}

func (s *script) look(broken bool) {
	pick := func(sound, dead string) string {
		if broken {
			return dead
		}
		return sound
	}
	for _, o := range []struct {
		address, text string
		holds         bool
	}{
		{dnsDead, pick(soundDNS, deadDNS), broken},
		{slow, pick("p95 4.1 ms of 20 pages", "p95 6.12 s of 20 pages"), broken},
		{noRoute, pick("0 lines", "2 lines, the last: connect() failed (113: No route to host)"), broken},
		{bob, "status 200 after 3.9 ms", true},
	} {
		s.tell(runner.Event{Type: runner.Observed, Subject: o.address, Holds: o.holds,
			Observation: &lab.Observation{At: s.at, Took: 4 * time.Millisecond, Summary: o.text}})
	}
}

func (s *script) step(text string, budget, took time.Duration) {
	s.tell(runner.Event{Type: runner.Step, Text: text, Budget: budget})
	s.wait(took)
}

func (s *script) startArm(name string) {
	s.arm = name
	s.arms = append(s.arms, runner.Arm{Name: name})
	s.tell(runner.Event{Type: runner.ArmStarted})
	s.step("starting machine.server", 30*time.Second, 800*time.Millisecond)
	s.step("waiting for stack.alice: proxy answers on 4430", time.Minute, 9300*time.Millisecond)
	s.begin(runner.Baseline, "", 2*time.Minute)
	s.look(false)
	s.wait(2 * time.Second)
	s.end()
}

// beside adds the events of an arm that runs at the same time.
func (s *script) beside(other *script) {
	s.events = append(s.events, other.events...)
	slices.SortStableFunc(s.events, func(a, b runner.Event) int { return a.At.Compare(b.At) })
	s.arms = append(s.arms, other.arms...)
	if other.at.After(s.at) {
		s.at = other.at
	}
}

// staleDNS is one reproduced trial. The control arm starts when the fault arm has passed its baseline, and holds for as
// long as the inject and fault phases take.
func staleDNS() (events []runner.Event, sum *runner.Summary) {
	s := &script{at: began}
	s.tell(runner.Event{Type: runner.RunStarted, Text: "20260301-100000-k3f9", Trials: 1})
	started := s.at
	s.tell(runner.Event{Type: runner.TrialStarted, Text: "nginx is slow: container DNS answers with the addresses of containers that are gone"})
	s.step("building image.host: bookworm, 143 packages", 0, 31200*time.Millisecond)
	s.tell(runner.Event{Type: runner.Prepared, Text: "image.host: bookworm, 143 packages, 31.2 s"})

	s.startArm(runner.Fault)
	control := &script{at: s.at}
	s.begin(runner.Inject, "", 0)
	s.look(false)
	s.step("start 1 of 3 of app: exit 125, the port is taken", 0, 4500*time.Millisecond)
	s.look(false)
	s.step("start 3 of 3 of app: exit 125, the port is taken", 0, 4500*time.Millisecond)
	s.end()
	s.begin(runner.InForce, "", 2*time.Minute)
	s.look(false)
	s.wait(12100 * time.Millisecond)
	s.look(true)
	s.tell(runner.Event{Type: runner.Appeared, Subject: dnsDead, Text: deadDNS})
	s.wait(6300 * time.Millisecond)
	s.tell(runner.Event{Type: runner.Appeared, Subject: noRoute, Text: "2 lines, the last: connect() failed (113: No route to host)"})
	s.wait(12600 * time.Millisecond)
	s.tell(runner.Event{Type: runner.Appeared, Subject: slow, Text: "p95 6.12 s of 20 pages"})
	s.end()
	remedies := []runner.RemedyResult{
		{Name: "recreate_app", Remain: []string{dnsDead}, Why: dnsDead + " (" + deadDNS + ")"},
		{Name: "network_rm_alone", Remain: []string{dnsDead}, Why: dnsDead + " (" + deadDNS + ")"},
		{Name: "delete_file_and_hup", Why: "stack.alice is not ready: proxy does not answer"},
		{Name: "forget_the_network", Cures: true, Cured: true},
	}
	for _, r := range remedies {
		s.begin(runner.Treat, r.Name, time.Minute)
		s.step("running remedy."+r.Name, time.Minute, 3400*time.Millisecond)
		s.end()
		s.begin(runner.Soak, r.Name, 30*time.Second)
		s.look(!r.Cures)
		text, took := "every symptom is gone", 30*time.Second
		if !r.Cures {
			s.tell(runner.Event{Type: runner.Appeared, Subject: dnsDead, Text: deadDNS})
			text, took = "did not cure", 2500*time.Millisecond
		}
		s.wait(took)
		s.tell(runner.Event{Type: runner.Step, Subject: "remedy." + r.Name, Text: text})
		s.end()
	}

	control.startArm(runner.Control)
	control.begin(runner.Hold, "", 0)
	for range 4 {
		control.look(false)
		control.wait(10 * time.Second)
	}
	control.end()
	control.at = s.at // its machines wait for the verdict
	control.tell(runner.Event{Type: runner.ArmEnded})
	s.tell(runner.Event{Type: runner.ArmEnded})
	s.beside(control)
	s.arm = ""

	o := &runner.Outcome{
		Lab: "stale-dns", Variant: variant(), Trial: 1, Verdict: lab.Reproduced, Expect: lab.Reproduced,
		Because: "all 3 symptoms were absent without the fault and present with it, and gone after forget_the_network; " +
			"recreate_app, network_rm_alone, delete_file_and_hup did not cure, as declared",
		Symptoms: []runner.SymptomResult{
			{Address: dnsDead, Appeared: true, After: 12100 * time.Millisecond, Last: deadDNS, Control: soundDNS, AfterCure: soundDNS},
			{Address: slow, Appeared: true, After: 31 * time.Second, Last: "p95 6.12 s of 20 pages", Control: "p95 4.1 ms of 20 pages", AfterCure: "p95 4.0 ms of 20 pages"},
			{Address: noRoute, Appeared: true, After: 18400 * time.Millisecond, Last: "2 lines, the last: connect() failed (113: No route to host)", Control: "0 lines", AfterCure: "0 lines"},
		},
		Invariants: []runner.InvariantResult{{Address: bob, Held: true, Last: "status 200 after 3.9 ms"}},
		Remedies:   remedies,
		Figures:    ofTheDiary(18.445),
		Arms:       s.arms,
		Started:    started,
		Took:       s.at.Sub(started),
		Folder:     "/var/lib/state/saigen/runs/20260301-100000-k3f9/bookworm-port_taken/1",
	}
	s.tell(runner.Event{Type: runner.TrialEnded, Outcome: o})
	sum = runner.Summarise("stale-dns", "20260301-100000-k3f9", []*runner.Outcome{o})
	sum.Took = s.at.Sub(began)
	s.tell(runner.Event{Type: runner.RunEnded, Summary: sum})
	return s.events, sum
}

// troubled is a run in which everything goes wrong, told with text that no terminal should be given.
func troubled() []runner.Event {
	s := &script{at: began}
	s.tell(runner.Event{Type: runner.RunStarted, Text: "x", Trials: 1})
	s.tell(runner.Event{Type: runner.TrialStarted})
	s.startArm(runner.Fault)
	s.begin(runner.InForce, "", 2*time.Minute)
	s.tell(runner.Event{Type: runner.Observed, Subject: dnsDead, Observation: &lab.Observation{Err: "no container proxy"}})
	s.wait(1500 * time.Millisecond)
	s.tell(runner.Event{Type: runner.Warning, Text: "podman 4.3.1+ds1-8+deb12u1 in the lock, 4.3.1+ds1-8+deb12u2 here"})
	s.tell(runner.Event{Type: runner.Broken, Subject: bob, Text: "status 502 \x1b[31mBad\x1b[0m Gateway\r\n\x1b]0;owned\x07after 3.1 ms"})
	s.wait(time.Minute)
	s.tell(runner.Event{Type: runner.Failed, Subject: "machine.server", Text: "cannot reach the agent: connection reset",
		Hint: "the machine's console says why it went down",
		Tail: "[  12.1] Out of memory: Killed process 812 (podman)\n\x1b[2J\x1b[1;1H\u202e[  12.2] systemd[1]: \xff\xfe freezing\n\n"})
	s.arm, s.phase = "", runner.Phase{}
	o := &runner.Outcome{Lab: "stale-dns", Variant: variant(), Trial: 1, Verdict: lab.Inconclusive, Expect: lab.Reproduced,
		Because: "cannot reach the agent: connection reset", Hint: "the machine's console says why it went down",
		Tail: "\x1b[2J]]> <b>\x00\xff\uffff", Started: began, Took: s.at.Sub(began), Folder: "/var/lib/state/saigen/runs/x/1"}
	s.tell(runner.Event{Type: runner.TrialEnded, Outcome: o})
	s.tell(runner.Event{Type: runner.Leaked, Subject: "mount", Text: "/run/saigen/x/server", Hint: "umount /run/saigen/x/server"})
	sum := runner.Summarise("stale-dns", "x", []*runner.Outcome{o})
	sum.Took, sum.Leaks = s.at.Sub(began), []string{"mount /run/saigen/x/server"}
	s.tell(runner.Event{Type: runner.RunEnded, Summary: sum})
	return s.events
}

// repeated is the summary of several variants, the first of them run ten times.
func repeated() *runner.Summary {
	_, one := staleDNS()
	var all []*runner.Outcome
	for i := range 10 {
		o := *one.Outcomes[0]
		o.Trial = i + 1
		o.Folder = "/var/lib/state/saigen/runs/20260301-100000-k3f9/bookworm-port_taken/" + string(rune('0'+i))
		o.Symptoms = append([]runner.SymptomResult(nil), o.Symptoms...)
		o.Symptoms[0].After += time.Duration(i) * time.Second
		if i == 9 {
			o.Verdict, o.Because = lab.Inconclusive, "cannot start machine.server: the agent did not answer"
		}
		all = append(all, &o)
	}
	trixie := *one.Outcomes[0]
	trixie.Variant = lab.Variant{{Axis: "debian", Value: "trixie"}, {Axis: "trigger", Value: "session_killed"}}
	trixie.Verdict = lab.NotReproduced
	trixie.Because = "never appeared: " + dnsDead + " (2 answers, 1 address, 0 dead, TTL 0, 76 bytes)"
	trixie.Symptoms = append([]runner.SymptomResult(nil), trixie.Symptoms...)
	trixie.Symptoms[0].Appeared, trixie.Symptoms[0].Last = false, "2 answers, 1 address, 0 dead, TTL 0, 76 bytes"
	trixie.Remedies, trixie.Hint = nil, "compare the packages"
	trixie.Drift = []string{"podman 5.4.2 → 5.4.3"}
	trixie.Folder = "/var/lib/state/saigen/runs/20260301-100000-k3f9/trixie-session_killed/1"
	alone := *one.Outcomes[0]
	alone.Variant = lab.Variant{{Axis: "debian", Value: "bookworm"}, {Axis: "trigger", Value: "session_killed_alone"}}
	alone.Verdict, alone.Expect = lab.NotReproduced, lab.NotReproduced
	alone.Folder = "/var/lib/state/saigen/runs/20260301-100000-k3f9/bookworm-session_killed_alone/1"
	sum := runner.Summarise("stale-dns", one.Run, append(all, &trixie, &alone))
	sum.Took = 41 * time.Minute
	return sum
}
