package qemu

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// connectTime is how long the agent of a machine that is up may take to answer.
const connectTime = 10 * time.Second

// Connect reaches a machine that another process has started and kept. runtimeDir is the run's runtime folder:
// Options.Runtime with the run's id. What comes back can do all but end the machine: that is the ledger's work.
func Connect(ctx context.Context, runtimeDir, name string) (lab.Running, error) {
	folder := filepath.Join(runtimeDir, name)
	limited, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	g, err := guest.DialPort(limited, folder)
	if err != nil {
		return nil, &lab.InfraError{
			What: "cannot reach machine." + name,
			Hint: "saigen runs says which runs are up; saigen down removes one that is broken",
			Err:  err,
		}
	}
	return &connected{Client: g, ref: lab.MachineRef("machine." + name), folder: folder}, nil
}

// connected is a machine of another process.
type connected struct {
	*guest.Client
	ref    lab.MachineRef
	folder string
}

// Ref is the machine's address in the lab.
func (c *connected) Ref() lab.MachineRef { return c.ref }

// Console returns the last lines that the kernel and systemd wrote to the console.
func (c *connected) Console(context.Context) (string, error) {
	return console(c.ref, filepath.Join(c.folder, consoleLog))
}

// errNotOurs says why a connected machine is not destroyed.
var errNotOurs = errors.New("it belongs to the process that started it; undo the run's ledger instead")

// Destroy gives up the connection, and refuses the rest.
func (c *connected) Destroy(context.Context) error {
	return errors.Join(fmt.Errorf("cannot destroy %s: %w", c.ref, errNotOurs), c.Close())
}
