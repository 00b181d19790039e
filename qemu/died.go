package qemu

import (
	"errors"
	"fmt"
	"time"

	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// diedTime is how long it may take until that shows of which the agent's connection broke.
const diedTime = time.Second

// explainLoss says what has died, when the connection to the agent was lost.
func (v *vmachine) explainLoss(err error) error {
	if !errors.Is(err, guest.ErrLost) {
		return err
	}
	timer := time.NewTimer(diedTime)
	defer timer.Stop()
	select {
	case <-v.process.ended: // it does not start again when the machine's kernel ends
		return &lab.InfraError{What: fmt.Sprintf("%s has stopped: QEMU has ended: %s", v.ref, v.process.cmd.ProcessState), Tail: v.said(), Err: err}
	case <-timer.C:
		return &lab.InfraError{What: fmt.Sprintf("saigen's agent in %s has ended, or does not answer, and QEMU goes on", v.ref), Tail: v.said(), Err: err}
	}
}
