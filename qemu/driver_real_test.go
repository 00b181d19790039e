package qemu

import (
	"testing"
	"time"
)

func TestRealMachine(t *testing.T) {
	real(t)
	l := oneMachine()
	b := open(t, "t-machine", l)
	b.bootTime = 45 * time.Second
	before := take(t, b.dir)
	m := start(t, b, l, 0)
	t.Log(sh(t, m, "", "systemd-analyze; systemd-analyze blame | head; uname -r; cat /proc/cmdline; df -h; lsmod"))
	if got := sh(t, m, "", "hostname; cat /proc/1/comm; systemctl is-system-running || true"); got != "server\nsystemd\nrunning" {
		t.Errorf("hostname, PID 1 and state are %q", got)
	}
	_ = before
}
