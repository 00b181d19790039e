package container

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// connectTime is how long the agent of a machine that is up may take to answer.
const connectTime = 5 * time.Second

// Connect reaches a machine that another process has started and kept. runtimeDir is the run's runtime folder:
// Options.Runtime with the run's id. What comes back can do all but end the machine: that is the ledger's work.
func Connect(ctx context.Context, runtimeDir, name string) (lab.Running, error) {
	socket := filepath.Join(runtimeDir, name, agentSocket)
	limited, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	g, err := dialGuest(limited, socket)
	if err != nil {
		return nil, &lab.InfraError{
			What: "cannot reach machine." + name,
			Hint: "saigen runs says which runs are up; saigen down removes one that is broken",
			Err:  err,
		}
	}
	return &connected{agent: g, ref: lab.MachineRef("machine." + name)}, nil
}

// connected is a machine of another process.
type connected struct {
	agent
	ref lab.MachineRef
}

// Ref is the machine's address in the lab.
func (c *connected) Ref() lab.MachineRef { return c.ref }

// Console returns what the machine's journal has last.
func (c *connected) Console(ctx context.Context) (string, error) {
	cmd := lab.Command{Argv: []string{"journalctl", "--no-pager", "--boot", "--lines=40"}}
	res, err := c.Run(ctx, cmd)
	if err == nil {
		err = res.Err(cmd)
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the console of %s: %w", c.ref, err)
	}
	return string(res.Stdout), nil
}

// errNotOurs says why a connected machine is not destroyed.
var errNotOurs = errors.New("it belongs to the process that started it; undo the run's ledger instead")

// Destroy gives up the connection, and refuses the rest.
func (c *connected) Destroy(context.Context) error {
	return errors.Join(fmt.Errorf("cannot destroy %s: %w", c.ref, errNotOurs), c.Close())
}
