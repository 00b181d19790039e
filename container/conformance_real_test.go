package container

import (
	"testing"
	"time"

	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

// The container driver keeps every promise that the fake keeps.
func TestRealConformance(t *testing.T) {
	real(t)
	l := drivertest.TwoMachines()
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
