package guest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The threads are there before anything needs them, and stay.
func TestMakeThreads(t *testing.T) {
	makeThreads(threads)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	if len(tasks) < threads {
		t.Errorf("%d threads, of %d", len(tasks), threads)
	}
}

// Only the want of a process is waited for.
func TestStartFailsAtOnce(t *testing.T) {
	_, err := start(&exec.Cmd{Path: "/none", Args: []string{"none"}})
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("got %v", err)
	}
}
