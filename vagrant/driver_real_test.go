package vagrant

import (
	"errors"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

func TestRealMachineAndItsSnapshot(t *testing.T) {
	l := oneMachine()
	if !real(t, l) {
		return
	}
	b := open(t, "t-machine", l)
	if _, err := b.Restore(t.Context(), b.id, l, "k"); !errors.Is(err, lab.ErrNoSnapshot) {
		t.Errorf("restoring before saving gives %v", err)
	}
	m := begin(t, b, l, 0)
	if got := sh(t, m, "", "hostname; cat /proc/1/comm; systemctl is-system-running || true"); got != "server\nsystemd\nrunning" {
		t.Errorf("hostname, PID 1 and state are %q", got)
	}
	if got := sh(t, m, "", "ip route show default; getent hosts server | cut -d' ' -f1"); got != "127.0.0.1" {
		t.Errorf("default route and own address are %q", got)
	}
	if got := sh(t, m, "alice", "id -un; echo kept > /home/alice/file; echo $XDG_RUNTIME_DIR"); got != "alice\n/run/user/1000" {
		t.Errorf("alice is %q", got)
	}
	pid := sh(t, m, "", "sleep 100000 >/dev/null 2>&1 & echo $!")
	began := time.Now()
	if err := b.Save(t.Context(), b.id, l, "k", []lab.Running{m}); err != nil {
		t.Fatal(explain(err))
	}
	t.Logf("saved in %.1f s", time.Since(began).Seconds())
	if _, err := m.Run(t.Context(), lab.Command{Argv: []string{"true"}}); err == nil {
		t.Error("a machine that was saved runs commands")
	}
	for range 2 {
		began := time.Now()
		again, err := b.Restore(t.Context(), b.id, l, "k")
		if err != nil {
			t.Fatal(explain(err))
		}
		t.Logf("restored in %.1f s", time.Since(began).Seconds())
		if got := sh(t, again[0], "alice", "cat /home/alice/file"); got != "kept" {
			t.Errorf("the file has %q", got)
		}
		if got := sh(t, again[0], "", "cat /proc/"+pid+"/comm"); got != "sleep" {
			t.Errorf("the process that was saved is %q", got)
		}
		sh(t, again[0], "", "echo spoilt > /home/alice/file; kill "+pid)
		off, err := again[0].Clock(t.Context())
		if err != nil || off.Abs() > 100*time.Millisecond {
			t.Errorf("the clock is off by %s, %v", off, err)
		}
		for range 2 {
			if err := again[0].Destroy(t.Context()); err != nil {
				t.Fatal(explain(err))
			}
		}
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(explain(err))
	}
	nothingLeft(t)
}
