package container

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

// The container driver keeps every promise that the fake keeps.
func TestRealConformance(t *testing.T) {
	real(t)
	l := twoMachines()
	l.Machines[0].Accounts = []lab.Account{
		{Name: "alice", Session: lab.SessionLinger}, {Name: "log", Session: lab.SessionLogin},
		{Name: "sue", Session: lab.SessionSu}, {Name: "non", Session: lab.SessionNone},
	}
	b := open(t, "conformance", l)
	labtest.TestDriver(t, b.Driver, l, lab.Probe{
		Address: "symptom.command.true", Kind: "command", Every: 20 * time.Millisecond, Timeout: 10 * time.Second,
		Settings: []byte(`{"machine":"machine.server","argv":["true"],"exit":0}`),
	})
}

// The round trip of a command through the agent, beside starting the same program here.
func BenchmarkRoundTrip(b *testing.B) {
	if os.Getenv("SAIGEN_REAL") != "1" {
		b.Skip("starts real machines; set SAIGEN_REAL=1")
	}
	v, err := newBench(b.TempDir(), "t-trip", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := v.Close(b.Context()); err != nil {
			b.Error(err)
		}
	}()
	l := oneMachine()
	if err := v.Prepare(b.Context(), l, b.Logf); err != nil {
		b.Fatal(explain(err))
	}
	m, err := v.Start(b.Context(), v.id, l, l.Machines[0])
	if err != nil {
		b.Fatal(explain(err))
	}
	var here, there time.Duration
	for b.Loop() {
		t := time.Now()
		if err := exec.Command("true").Run(); err != nil {
			b.Fatal(err)
		}
		here += time.Since(t)
		t = time.Now()
		if _, err := m.Run(b.Context(), lab.Command{Argv: []string{"true"}}); err != nil {
			b.Fatal(err)
		}
		there += time.Since(t)
	}
	b.ReportMetric(there.Seconds()*1000/float64(b.N), "ms/command")
	b.ReportMetric(float64(there)/float64(here), "x-fork-exec")
}
