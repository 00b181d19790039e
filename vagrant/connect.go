package vagrant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// connectTime is how long the agent of a machine that is up may take to answer. A login on an emulated machine takes seconds.
const connectTime = 30 * time.Second

// Connect reaches a machine that another process has started and kept. runtimeDir is the run's runtime folder:
// Options.Runtime with the run's id. What comes back can do all but end the machine: that is the ledger's work.
func Connect(ctx context.Context, runtimeDir, name string) (lab.Running, error) {
	config := filepath.Join(runtimeDir, name, sshConfig)
	limited, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	_, err := os.Stat(config)
	var g agent
	if err == nil {
		g, err = dial(limited, config, name, dialTime)
	}
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
	text, err := journal(ctx, c.agent)
	if err != nil {
		return "", fmt.Errorf("cannot read the console of %s: %w", c.ref, err)
	}
	return text, nil
}

// errNotOurs says why a connected machine is not destroyed.
var errNotOurs = errors.New("it belongs to the process that started it; undo the run's ledger instead")

// Destroy gives up the connection, and refuses the rest.
func (c *connected) Destroy(context.Context) error {
	return errors.Join(fmt.Errorf("cannot destroy %s: %w", c.ref, errNotOurs), c.Close())
}
