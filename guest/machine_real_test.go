package guest

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// realMachine connects to the agent of a machine that was started with this test binary as its saigen.
func realMachine(t *testing.T) *Client {
	t.Helper()
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("needs a machine: set SAIGEN_REAL=1")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := Dial(ctx, os.Getenv("SAIGEN_AGENT_SOCKET"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

var fourAccounts = []lab.Account{
	{Name: "lin", Session: lab.SessionLinger},
	{Name: "log", Session: lab.SessionLogin},
	{Name: "sue", Session: lab.SessionSu},
	{Name: "non", Session: lab.SessionNone},
}

func TestRealSpike(t *testing.T) {
	c := realMachine(t)
	i, err := c.Hello(t.Context())
	t.Log(i, err)
	began := time.Now()
	if err := c.AddAccounts(t.Context(), fourAccounts); err != nil {
		var ie *lab.InfraError; errors.As(err, &ie); t.Fatalf("%v\n%s", err, ie.Tail)
	}
	t.Log("accounts", time.Since(began))
	for _, a := range fourAccounts {
		r, err := c.Run(t.Context(), lab.Command{Argv: []string{"sh", "-c", "id; cat /proc/self/cgroup | tail -1; env | sort; pwd; ulimit -n; podman info --format '{{.Host.LogDriver}} {{.Store.GraphDriverName}} {{.Store.RunRoot}} {{.Host.CgroupManager}}'"}, Account: a.Name})
		t.Logf("%s: %v\n%s%s", a.Name, err, r.Stdout, r.Stderr)
	}
	r, err := c.Run(t.Context(), lab.Command{Argv: []string{"sh", "-c", "env; loginctl list-sessions; loginctl list-users; cat /proc/self/cgroup | tail -1; ps axf -o user,pid,cgroup:60,args"}})
	t.Logf("%v\n%s%s", err, r.Stdout, r.Stderr)
	for _, a := range []string{"", "lin", "non"} {
		began = time.Now()
		for range 200 {
			if _, err := c.Run(t.Context(), lab.Command{Argv: []string{"true"}, Account: a}); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("true as %q: %v", a, time.Since(began)/200)
	}
}
