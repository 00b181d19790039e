package labtest

import (
	"bufio"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Death is a process that runs a machine and is to be killed, and what the next saigen knows of it.
type Death struct {
	// Process has not been started. It starts a machine, prints "up" as a line, and waits for ever.
	Process *exec.Cmd
	// Dead says how many runs there are of processes that have gone.
	Dead func() (int, error)
	// Collect undoes them.
	Collect func() error
	// Left lists what the host has more of than before.
	Left func() []string
}

// TestDeath is the conformance suite for the death of the host's process: killed at any moment, what it leaves can be undone
// by another. prepare is called for each moment; the first is when the machine is up, the others are times after the
// start, chosen for what the driver does then.
func TestDeath(t *testing.T, prepare func(t *testing.T) Death, moments ...time.Duration) {
	t.Run("up", func(t *testing.T) {
		d := prepare(t)
		die(t, d, true, func(says *bufio.Reader) {
			if line, err := says.ReadString('\n'); line != "up\n" {
				t.Errorf("the process to be killed says %q, %v", line, err)
			}
			if n, err := d.Dead(); n != 0 || err != nil {
				t.Errorf("%d living runs are dead: %v", n, err)
			}
			if len(d.Left()) == 0 {
				t.Error("nothing on the host shows the run")
			}
		})
	})
	for _, m := range moments {
		t.Run(m.String(), func(t *testing.T) { die(t, prepare(t), false, func(*bufio.Reader) { <-time.After(m) }) })
	}
}

func die(t *testing.T, d Death, up bool, live func(says *bufio.Reader)) {
	t.Helper()
	out, err := d.Process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Process.Start(); err != nil {
		t.Fatal(err)
	}
	live(bufio.NewReader(out))
	if err := d.Process.Process.Kill(); err != nil {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := d.Process.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Errorf("the process to be killed ended by itself: %v", err)
	}
	if n, err := d.Dead(); n > 1 || (up && n != 1) || err != nil { // one that had not begun is not known
		t.Errorf("%d runs are dead after one process was killed: %v", n, err)
	}
	began := time.Now()
	if err := d.Collect(); err != nil {
		t.Fatal(err)
	}
	t.Logf("collected in %.2f s", time.Since(began).Seconds())
	if n, err := d.Dead(); n != 0 || err != nil {
		t.Errorf("%d runs are dead still: %v", n, err)
	}
	if left := d.Left(); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}
