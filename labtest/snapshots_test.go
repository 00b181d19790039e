package labtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

func TestFakeSnapshots(t *testing.T) {
	d := &SnapshotDriver{Driver: &Driver{}}
	l := oneMachine()
	m := started(t, d.Driver)
	if _, err := d.Restore(t.Context(), "run", l, "key"); !errors.Is(err, lab.ErrNoSnapshot) {
		t.Fatalf("before it was saved: %v", err)
	}
	m.Set("slow", 3)
	m.SetClock(time.Minute)
	m.Write("alice", "app", time.Now(), "hello")
	if err := d.Save(t.Context(), "run", l, "key", []lab.Running{m}); err != nil {
		t.Fatal(err)
	}
	if left := d.Left(); len(left) > 0 {
		t.Errorf("alive after the save: %q", left)
	}
	restored := func() *Machine {
		t.Helper()
		got, err := d.Restore(t.Context(), "other", l, "key")
		if err != nil || len(got) != 1 {
			t.Fatalf("%d machines, %v", len(got), err)
		}
		return got[0].(*Machine)
	}
	a, b := restored(), restored()
	a.Set("slow", 9)
	a.Write("alice", "app", time.Now(), "again")
	logs, err := b.Logs(t.Context(), "alice", "app", time.Time{})
	if b.Value("slow") != 3 || b.RunID != "other" || len(logs) != 1 || err != nil {
		t.Errorf("slow %g as %s, logs %v, %v", b.Value("slow"), b.RunID, logs, err)
	}
	if off, err := b.Clock(t.Context()); off != time.Minute || err != nil {
		t.Errorf("clock %s, %v", off, err)
	}
	// What is saved under a key stays.
	if err := d.Save(t.Context(), "other", l, "key", []lab.Running{a}); err != nil {
		t.Fatal(err)
	}
	if c := restored(); c.Value("slow") != 3 {
		t.Errorf("the second save replaced the first: slow is %g", c.Value("slow"))
	}
}

func TestFakeSnapshotFailures(t *testing.T) {
	l, over := oneMachine(), func() context.Context {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx
	}()
	for name, c := range map[string]struct {
		ctx  context.Context
		fail error
		lose bool
	}{
		"interrupted": {ctx: over}, "told to fail": {ctx: t.Context(), fail: errors.New("no room")}, "lost": {ctx: t.Context(), lose: true},
	} {
		d := &SnapshotDriver{Driver: &Driver{}, FailSave: c.fail}
		m := started(t, d.Driver)
		if c.lose {
			m.Lose()
		}
		if err := d.Save(c.ctx, "run", l, "key", []lab.Running{m}); err == nil || len(d.Left()) > 0 {
			t.Errorf("%s: %v, left %q", name, err, d.Left())
		}
		if _, err := d.Restore(t.Context(), "run", l, "key"); !errors.Is(err, lab.ErrNoSnapshot) {
			t.Errorf("%s: half a snapshot is there: %v", name, err)
		}
	}
	d := &SnapshotDriver{Driver: &Driver{}, OwnRun: true}
	if err := d.Save(t.Context(), "run", l, "key", []lab.Running{started(t, d.Driver)}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Restore(t.Context(), "other", l, "key"); !errors.Is(err, lab.ErrNoSnapshot) {
		t.Errorf("restored what another run saved: %v", err)
	}
	d.FailRestore = errors.New("damaged")
	if _, err := d.Restore(t.Context(), "run", l, "key"); !errors.Is(err, d.FailRestore) || len(d.Left()) > 0 {
		t.Errorf("%v, left %q", err, d.Left())
	}
	if _, err := d.Restore(over, "run", l, "key"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
