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

// The journal is asked once, and again only where it may have something: to ask is to start a process.
func TestJournalIsAskedWhereItMayHaveSomething(t *testing.T) {
	logs := newLogTails()
	ask := func(container string, want bool) {
		t.Helper()
		if logs.mayBeInJournal("alice", container) != want {
			t.Errorf("%s: ask the journal: %v", container, !want)
		}
	}
	for _, c := range []string{"file", "journal", "unknown"} {
		ask(c, true)
	}
	logs.inJournal("alice", "file", false)
	logs.inJournal("alice", "journal", true)
	logs.inJournal("alice", "journal", false) // a moment in which it wrote nothing
	ask("file", false)
	ask("journal", true)
	logs.without[logKey("alice", "file")] = map[string]bool{"/one/that/has/no/file": true}
	ask("file", true)
}
