package runner_test

import (
	"context"
	"strings"
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
