package runner

import (
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

const aBoot = "5f0c8f0e-1111-4222-8333-444455556666"

// Lines of a kernel's log, 100 s after its start, as Linux 6.1 writes them.
const aLog = aBoot + `
100.00 180.00
[    0.000000] Linux version 6.1.0
[   20.500000] Out of memory: Killed process 700 (early) total-vm:1kB, anon-rss:1kB
[   90.250000] app invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0
[   90.250001] Out of memory: Killed process 812 (app) total-vm:733024kB, anon-rss:195000kB, file-rss:4kB
[   91.000000] Memory cgroup out of memory: Killed process 813 (limited) total-vm:1kB
[   92.000000] Out of memory: Killed process 814 (my (odd) app) total-vm:1kB
`

func TestReadKills(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	began := now.Add(-60 * time.Second)
	own := readKills("machine.m", aLog, "another", now, began)
	if len(own) != 3 || own[1].Process != "app" || own[1].Host || !own[1].At.Equal(now.Add(-9749999*time.Microsecond)) {
		t.Errorf("a VM: %+v", own)
	}
	shared := readKills("machine.m", aLog, aBoot, now, began)
	if len(shared) != 2 || shared[0].Process != "app" || !shared[0].Host {
		t.Errorf("a container: %+v", shared)
	}
	for _, bad := range []string{"", "boot\n", "boot\nmany x\n[1.0] Out of memory: Killed process 1 (a)"} {
		if got := readKills("machine.m", bad, "", now, began); len(got) != 0 {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestStarved(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	phases := []Phase{{Kind: Baseline, Start: at(0), End: at(5)}, {Kind: Inject, Start: at(5), End: at(6)}, {Kind: InForce, Start: at(6), End: at(20)}}
	kill := Kill{Machine: "machine.m", Process: "app", At: at(10)}
	early, host := kill, kill
	early.At, host.Host = at(1), true
	for _, c := range []struct {
		name           string
		arm            Arm
		starved, tells string
	}{
		{"nobody", Arm{Name: Fault, Phases: phases}, "", ""},
		{"what the fault does", Arm{Name: Fault, Phases: phases, Kills: []Kill{kill, kill}}, "", "the kernel of machine.m killed app for lack of memory in the fault arm"},
		{"before it", Arm{Name: Fault, Phases: phases, Kills: []Kill{early}},
			"the kernel of machine.m killed app for lack of memory in the fault arm, where no fault was in force: the machine's memory is too small for what runs in it", "-"},
		{"without it", Arm{Name: Control, Phases: phases[:1], Kills: []Kill{kill}},
			"the kernel of machine.m killed app for lack of memory in the control arm, where no fault was in force: the machine's memory is too small for what runs in it", "-"},
		{"the host's", Arm{Name: Fault, Phases: phases, Kills: []Kill{host}}, "the kernel of the host killed app for lack of memory while the fault arm ran", "-"},
	} {
		if got := starved([]Arm{c.arm}); got != c.starved {
			t.Errorf("%s: starved %q", c.name, got)
		}
		if got := hungry([]Arm{c.arm}); c.tells != "-" && got != c.tells {
			t.Errorf("%s: %q", c.name, got)
		}
		o := Judge(&lab.Lab{}, &Record{Arms: []Arm{c.arm, {Name: map[string]string{Fault: Control, Control: Fault}[c.arm.Name]}}})
		if (o.Verdict == lab.Inconclusive) != (c.starved != "") {
			t.Errorf("%s: %s: %s", c.name, o.Verdict, o.Because)
		}
	}
}
