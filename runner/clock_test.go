package runner_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
)

// Looks of a machine whose clock is wrong are placed by the host's clock.
func TestClockOffset(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -time.Hour} {
		d := &labtest.Driver{Made: func(m *labtest.Machine) { m.SetClock(ahead) }}
		s := run(t, context.Background(), d, sickLab(), t.TempDir(), 1, &seen{})
		wants(t, d, s, lab.Reproduced, 1)
		o := s.Outcomes[0]
		if o.Symptoms[0].After > time.Minute || o.Symptoms[0].After <= 0 {
			t.Errorf("the symptom appeared after %s", o.Symptoms[0].After)
		}
		for _, a := range o.Arms {
			if c := a.Clocks; len(c) != 1 || c[0].Machine != "machine.m" || c[0].Offset != ahead || c[0].Slip != 0 {
				t.Errorf("%s arm: %+v", a.Name, c)
			}
		}
	}
}

// A clock that slips while an arm runs makes the trial inconclusive, and the stored evidence says so again.
func TestClockSlip(t *testing.T) {
	for _, c := range []struct {
		name  string
		phase string
		slip  time.Duration
		want  lab.Verdict
		say   string
	}{
		{"in the fault arm", "fault", 3200 * time.Millisecond, lab.Inconclusive, "the clock of machine.m slipped by 3.2 s against the host's while the fault arm ran: the host was suspended or overloaded"},
		{"backwards, in the control arm", "hold", -700 * time.Millisecond, lab.Inconclusive, "the clock of machine.m slipped by 0.7 s against the host's while the control arm ran"},
		{"a little", "fault", 20 * time.Millisecond, lab.Reproduced, "absent without the fault"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := &labtest.Driver{}
			said := &seen{each: func(e runner.Event) {
				if e.Type != runner.PhaseStarted || e.Phase != c.phase {
					return
				}
				machines := d.Machines() // the fault arm's comes first
				if m := machines[0]; c.phase == "fault" {
					m.SetClock(c.slip)
				} else {
					machines[1].SetClock(c.slip)
				}
			}}
			l := sickLab()
			o := run(t, context.Background(), d, l, t.TempDir(), 1, said).Outcomes[0]
			if o.Verdict != c.want || !strings.Contains(o.Because, c.say) {
				t.Errorf("%s: %s", o.Verdict, o.Because)
			}
			again := runner.Judge(l, &runner.Record{Arms: o.Arms})
			if c.want == lab.Inconclusive && (again.Verdict != o.Verdict || again.Because != o.Because) {
				t.Errorf("judged again: %s (%s)", again.Verdict, again.Because)
			}
		})
	}
}

// A machine's clock that is set there and back in the middle of an arm: nothing at its end shows it, but the looks do.
func TestClockThereAndBack(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		d := &labtest.Driver{}
		var once sync.Once
		said := &seen{each: func(e runner.Event) {
			if e.Arm != runner.Fault || e.Phase != "fault" {
				return
			}
			switch e.Type {
			case runner.PhaseStarted:
				d.Machines()[0].SetClock(by)
			case runner.Observed:
				if e.Observation.Stepped != 0 {
					once.Do(func() { d.Machines()[0].SetClock(0) })
				}
			}
		}}
		o := run(t, context.Background(), d, sickLab(), t.TempDir(), 1, said).Outcomes[0]
		if o.Verdict != lab.Inconclusive || !strings.Contains(o.Because, "the clock of machine.m slipped by 3600.0 s against the host's while the fault arm ran") {
			t.Errorf("%s: %s", o.Verdict, o.Because)
		}
		for _, a := range o.Arms {
			for _, p := range a.Phases {
				if took := p.End.Sub(p.Start); took < 0 || took > time.Minute {
					t.Errorf("%s arm, phase %s took %s", a.Name, p.Name(), took)
				}
			}
		}
	}
}

// The host's clock is set while the fault arm runs. Phases go on by a steady clock. A machine with a clock of its own goes on as if nothing
// had happened; one that shares the host's was set with it.
func TestHostClockSet(t *testing.T) {
	for _, c := range []struct {
		name   string
		by     time.Duration
		shares bool
		want   lab.Verdict
	}{
		{"forth, a VM", time.Hour, false, lab.Reproduced},
		{"back, a VM", -time.Hour, false, lab.Reproduced},
		{"forth, a container", time.Hour, true, lab.Inconclusive},
		{"back, a container", -time.Hour, true, lab.Inconclusive},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var set time.Duration
			var machines []*labtest.Machine
			d := &labtest.Driver{Made: func(m *labtest.Machine) {
				mu.Lock()
				defer mu.Unlock()
				m.SetHostClock(set, true) // it starts with the host's
				machines = append(machines, m)
			}}
			said := &seen{each: func(e runner.Event) {
				if e.Type != runner.PhaseStarted || e.Phase != "fault" {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				set = c.by
				for _, m := range machines {
					m.SetHostClock(c.by, c.shares)
				}
			}}
			calendar := func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				return time.Now().Add(set)
			}
			r := &runner.Runner{
				Driver: d, Composer: noStacks{}, Sink: said, Run: "r", Folder: t.TempDir(),
				Calendar: calendar,
			}
			s, err := r.All(t.Context(), []*lab.Lab{fill(sickLab(), t.TempDir())}, 1)
			if err != nil {
				t.Fatal(err)
			}
			if o := s.Outcomes[0]; o.Verdict != c.want {
				t.Errorf("%s: %s; %+v", o.Verdict, o.Because, o.Arms[0].Clocks)
			}
		})
	}
}
