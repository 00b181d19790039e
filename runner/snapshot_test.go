package runner_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
)

func withSnapshots() *labtest.SnapshotDriver {
	return &labtest.SnapshotDriver{Driver: &labtest.Driver{}}
}

func sickLab() *lab.Lab {
	return &lab.Lab{
		Faults:     []lab.Fault{fault(labtest.Switch{Value: "sick", To: 1})},
		Invariants: []lab.Assertion{reading("invariant", "broken", "under 1")},
		Ready:      []lab.Assertion{reading("ready", "down", "under 1")},
	}
}

// fill makes a lab complete, as run does.
func fill(l *lab.Lab, dir string) *lab.Lab {
	l.Name, l.Dir = "test", dir
	l.Machines = []lab.Machine{{Name: "m"}}
	if l.Symptoms == nil {
		l.Symptoms = []lab.Assertion{reading("symptom", "sick", "over 0")}
	}
	if len(l.Faults) > 0 {
		l.Symptoms[0].Within = "2s" // it comes at once, but the host may be busy
	}
	if l.Expect == "" {
		l.Expect = lab.Reproduced
	}
	return l
}

// wants fails the test when a trial did not get its verdict, or something is alive.
func wants(t *testing.T, d interface{ Left() []string }, s *runner.Summary, want lab.Verdict, trials int) {
	t.Helper()
	if len(s.Outcomes) != trials {
		t.Fatalf("%d trials, want %d", len(s.Outcomes), trials)
	}
	for _, o := range s.Outcomes {
		if o.Verdict != want {
			t.Errorf("trial %d: %s (%s), want %s", o.Trial, o.Verdict, o.Because, want)
		}
	}
	if left := d.Left(); len(left) > 0 {
		t.Errorf("left alive: %q", left)
	}
}

// begun collects how the arms of all trials came up: "made", "restored" or "afresh".
func begun(s *runner.Summary) []string {
	var out []string
	for _, o := range s.Outcomes {
		for _, a := range o.Arms {
			switch b := a.Begun; {
			case b == nil:
				out = append(out, "never")
			case b.Made:
				out = append(out, "made")
			case b.Snapshot != "":
				out = append(out, "restored")
			default:
				out = append(out, "afresh")
			}
		}
	}
	return out
}

func (s *seen) warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, e := range s.all {
		if e.Type == runner.Warning {
			out = append(out, e.Text)
		}
	}
	return out
}

// The first arm makes the snapshot; every other one, in this run and in later ones, starts from it.
func TestStartsFromSnapshot(t *testing.T) {
	d, dir := withSnapshots(), t.TempDir()
	boots := 0
	d.Made = func(*labtest.Machine) { boots++ }
	said := &seen{}
	s := run(t, context.Background(), d, sickLab(), dir, 2, said)
	wants(t, d, s, lab.Reproduced, 2)
	if got := begun(s); !slices.Equal(got, []string{"made", "restored", "restored", "restored"}) || boots != 1 {
		t.Errorf("the arms were %v, with %d boots", got, boots)
	}
	first := s.Outcomes[0].Arms[0].Begun
	if first.Save <= 0 || first.Restore <= 0 || first.Boot <= 0 || first.Again <= 0 || len(first.Snapshot) != 64 {
		t.Errorf("%+v", first)
	}
	if w := said.warnings(); len(w) > 0 {
		t.Errorf("warned: %q", w)
	}
	if !slices.ContainsFunc(said.all, func(e runner.Event) bool {
		return e.Type == runner.Step && e.Arm == runner.Control && strings.HasPrefix(e.Text, "restored machines from the snapshot of the baseline, 0.")
	}) {
		t.Error("nobody was told of the restore")
	}
	// Healing and remedies of one arm are not seen by the next: each has its own copy.
	again := run(t, context.Background(), d, sickLab(), dir, 1, &seen{})
	wants(t, d, again, lab.Reproduced, 1)
	if got := begun(again); !slices.Equal(got, []string{"restored", "restored"}) || boots != 1 {
		t.Errorf("the next run: %v, %d boots in all", got, boots)
	}
}

// A fresh run makes a snapshot of its own, leaves the stored one to others, and takes its own away with it.
func TestFresh(t *testing.T) {
	d, dir := withSnapshots(), t.TempDir()
	run(t, context.Background(), d, sickLab(), dir, 1, &seen{})
	r := runner.Runner{Driver: d, Composer: noStacks{}, Sink: &seen{}, Run: "again", Folder: t.TempDir(), Fresh: true}
	s, err := r.All(context.Background(), []*lab.Lab{fill(sickLab(), dir)}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got := begun(s); !slices.Equal(got, []string{"made", "restored", "restored", "restored"}) {
		t.Errorf("the arms of the fresh run were %v", got)
	}
	if n := d.Stored(); n != 1 {
		t.Errorf("%d snapshots are stored", n)
	}
	s = run(t, context.Background(), d, sickLab(), dir, 1, &seen{})
	if saves, _ := d.Snapshots(); saves != 2 || !slices.Equal(begun(s), []string{"restored", "restored"}) {
		t.Errorf("%d saves, and the next arms were %v", saves, begun(s))
	}
}

// A baseline in which an invariant does not hold is not saved, and judged as on every other driver.
func TestUnfitBaseline(t *testing.T) {
	for _, c := range []struct {
		name    string
		made    func(*labtest.Machine)
		want    lab.Verdict
		warning string
	}{
		{"an invariant does not hold", func(m *labtest.Machine) { m.Set("broken", 2) }, lab.InvariantBroken, "invariant.fake.broken does not hold: broken is 2"},
		{"a symptom is there", func(m *labtest.Machine) { m.Set("sick", 1) }, lab.ControlDirty, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, d := range []interface {
				lab.Driver
				Left() []string
			}{&labtest.Driver{Made: c.made}, &labtest.SnapshotDriver{Driver: &labtest.Driver{Made: c.made}}} {
				said := &seen{}
				s := run(t, context.Background(), d, sickLab(), t.TempDir(), 1, said)
				wants(t, d, s, c.want, 1)
				fake, ok := d.(*labtest.SnapshotDriver)
				if !ok {
					continue
				}
				if saves, _ := fake.Snapshots(); (saves == 0) != (c.warning != "") {
					t.Errorf("%d saves", saves)
				}
				if w := said.warnings(); c.warning != "" && (len(w) != 2 || !strings.Contains(w[0], c.warning)) {
					t.Errorf("warned %q, want %q from both arms", w, c.warning)
				}
			}
		})
	}
}

// Whatever goes wrong with snapshots costs time and a warning, not the verdict.
func TestSnapshotsOfNoUse(t *testing.T) {
	for _, c := range []struct {
		name    string
		set     func(*labtest.SnapshotDriver)
		stored  bool // there is a snapshot of another run
		begun   []string
		warning string
		warned  int
	}{
		{"cannot save", func(d *labtest.SnapshotDriver) { d.FailSave = errors.New("no room") }, false,
			[]string{"afresh", "afresh", "afresh", "afresh"}, "cannot save the baseline; the machines are started afresh, in this arm and in those that follow: no room", 1},
		{"has none to give", func(d *labtest.SnapshotDriver) { d.FailSave = lab.ErrNoSnapshot }, false,
			[]string{"afresh", "afresh", "afresh", "afresh"}, "", 0},
		{"cannot restore what it saved", func(d *labtest.SnapshotDriver) { d.FailRestore = errors.New("damaged") }, false,
			[]string{"afresh", "afresh", "afresh", "afresh"}, "cannot start from the snapshot of the baseline; the machines are started afresh: damaged", 1},
		{"cannot restore what is stored", func(d *labtest.SnapshotDriver) { d.FailRestore = errors.New("damaged") }, true,
			[]string{"afresh", "afresh", "afresh", "afresh"}, "damaged", 4},
		{"not ready after the restore", func(d *labtest.SnapshotDriver) { d.Restored = func(m *labtest.Machine) { m.Set("down", 1) } }, true,
			[]string{"afresh", "afresh", "afresh", "afresh"}, "ready.fake.down did not pass within 250ms", 4},
		{"the clock is wrong after the restore", func(d *labtest.SnapshotDriver) {
			d.Restored = func(m *labtest.Machine) { m.SetClock(-72 * time.Hour) }
		}, true, []string{"afresh", "afresh", "afresh", "afresh"}, "the clock of machine.m is wrong by 72h0m0s after the restore", 4},
		{"lost after the restore", func(d *labtest.SnapshotDriver) { d.Restored = (*labtest.Machine).Lose }, true,
			[]string{"afresh", "afresh", "afresh", "afresh"}, "cannot read the clock of machine.m", 4},
		{"no clones", func(d *labtest.SnapshotDriver) { d.OwnRun = true }, false, []string{"made", "made", "restored", "restored"}, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, dir, said := withSnapshots(), t.TempDir(), &seen{}
			if c.stored {
				run(t, context.Background(), d, sickLab(), dir, 1, &seen{})
			}
			c.set(d)
			s := run(t, context.Background(), d, sickLab(), dir, 2, said)
			wants(t, d, s, lab.Reproduced, 2)
			if got := begun(s); !slices.Equal(got, c.begun) {
				t.Errorf("the arms were %v, want %v", got, c.begun)
			}
			w := said.warnings()
			if len(w) != c.warned || (len(w) > 0 && !strings.Contains(w[0], c.warning)) {
				t.Errorf("warned %q, want %d times %q", w, c.warned, c.warning)
			}
		})
	}
}

// A machine that cannot be started is not started again, with snapshots or without.
func TestStartFailsOnce(t *testing.T) {
	d := withSnapshots()
	d.FailStart = errors.New("no room")
	s := run(t, context.Background(), d, sickLab(), t.TempDir(), 1, &seen{})
	wants(t, d, s, lab.Inconclusive, 1)
	if o := s.Outcomes[0]; !strings.Contains(o.Because, "cannot start machine.m: no room") {
		t.Errorf("because %q", o.Because)
	}
}

// Trials that run side by side and want the same snapshot wait for the one that makes it.
func TestOneMakesSnapshotForAll(t *testing.T) {
	d, said := withSnapshots(), &seen{}
	r := runner.Runner{Driver: d, Composer: noStacks{}, Sink: said, Run: "r", Folder: t.TempDir(), Parallel: 4}
	s, err := r.All(context.Background(), []*lab.Lab{fill(sickLab(), t.TempDir())}, 4)
	if err != nil {
		t.Fatal(err)
	}
	wants(t, d, s, lab.Reproduced, 4)
	made := 0
	for _, how := range begun(s) {
		if how == "made" {
			made++
		} else if how != "restored" {
			t.Errorf("an arm began %s", how)
		}
	}
	if saves, restores := d.Snapshots(); saves != 1 || made != 1 || restores != 8 || len(d.Machines()) != 9 {
		t.Errorf("%d saves, %d arms made one, %d restores, %d machines", saves, made, restores, len(d.Machines()))
	}
}

// Whenever a run with snapshots is interrupted, nothing stays alive.
func TestInterruptedWithSnapshots(t *testing.T) {
	for _, at := range []struct {
		what   runner.EventType
		arm    string
		text   string // begins so
		stored bool
	}{
		{runner.Step, runner.Fault, "restoring", false}, {runner.Step, runner.Fault, "there is no snapshot", false},
		{runner.Step, runner.Fault, "starting machine", false}, {runner.Step, runner.Fault, "waiting for ready", false},
		{runner.Step, runner.Fault, "saving", false}, {runner.Step, runner.Fault, "saved", false},
		{runner.Step, runner.Fault, "restored", false}, {runner.Step, runner.Control, "restoring", false},
		{runner.Step, runner.Control, "restored", false}, {runner.Step, runner.Fault, "restoring", true},
		{runner.Step, runner.Fault, "restored", true}, {runner.Step, runner.Fault, "waiting for ready", true},
		{runner.Step, runner.Control, "restored", true}, {runner.PhaseStarted, runner.Fault, "", true}, {runner.PhaseStarted, runner.Control, "", true},
	} {
		name := at.arm + " " + string(at.what) + " " + at.text
		if at.stored {
			name += " of another run"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, dir := withSnapshots(), t.TempDir()
			if at.stored {
				run(t, context.Background(), d, sickLab(), dir, 1, &seen{})
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			said := &seen{each: func(e runner.Event) {
				if e.Type == at.what && e.Arm == at.arm && strings.HasPrefix(e.Text, at.text) {
					cancel()
				}
			}}
			s := run(t, ctx, d, sickLab(), dir, 1, said)
			if ctx.Err() == nil || s.Exit != runner.ExitInterrupted || len(s.Outcomes) != 0 {
				t.Errorf("%v, exit code %d, %d outcomes", ctx.Err(), s.Exit, len(s.Outcomes))
			}
			if left := d.Left(); len(left) > 0 {
				t.Errorf("left alive: %q", left)
			}
			if w := said.warnings(); len(w) > 0 {
				t.Errorf("warned %q", w)
			}
			for _, m := range d.Machines() {
				if v := m.Value("sick"); v != 0 {
					t.Errorf("not healed: sick is %g", v)
				}
			}
		})
	}
}

// hypervisorWithSnapshots is one whose machines have two processors.
type hypervisorWithSnapshots struct{ *labtest.SnapshotDriver }

func (hypervisorWithSnapshots) Processors(lab.Machine) int { return 2 }

// Where arms take turns, the one that comes next is loaded while the one before it ends, if it starts from the same snapshot
// and nothing of its run is there.
func TestLoadsAhead(t *testing.T) {
	for _, c := range []struct {
		name     string
		cores    int
		variants int
		fail     error
		expect   lab.Verdict
		loaded   int
	}{
		{"every arm but the first", 2, 1, nil, lab.Reproduced, 5},
		{"of two variants", 2, 2, nil, lab.Reproduced, 10},
		{"it cannot be loaded", 2, 1, errors.New("no room"), lab.Reproduced, 0},
		{"machines that are looked at stay", 2, 1, nil, lab.NotReproduced, 3},
		{"arms side by side", 4, 1, nil, lab.Reproduced, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, said := withSnapshots(), &seen{}
			d.FailLoad = c.fail
			var labs []*lab.Lab
			for i := range c.variants {
				l := sickLab()
				l.Expect = c.expect
				l.Variant = lab.Variant{{Axis: "a", Value: string(rune('a' + i))}}
				labs = append(labs, fill(l, t.TempDir()))
			}
			r := runner.Runner{Driver: hypervisorWithSnapshots{d}, Composer: noStacks{}, Sink: said, Run: "r", Folder: t.TempDir(),
				Capacity: func() (int64, int) { return 0, c.cores }, Keep: runner.KeepNever,
				Collect: func(context.Context, lab.Running, lab.Machine, func(string, []byte) error) error { return nil }}
			s, err := r.All(context.Background(), labs, 3)
			if err != nil {
				t.Fatal(err)
			}
			wants(t, d, s, lab.Reproduced, 3*c.variants)
			if loaded, now := d.Loaded(); loaded != c.loaded || len(now) > 0 {
				t.Errorf("%d arms started from what was loaded ahead, and %q is loaded now; want %d", loaded, now, c.loaded)
			}
			if w := said.warnings(); len(w) > 0 {
				t.Errorf("warned %q", w)
			}
		})
	}
}
