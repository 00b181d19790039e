package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
)

// scenario is one way in which saigen, or what it stands on, breaks.
type scenario struct {
	name    string // what -only takes
	promise string // what saigen promises then: whole sentences
	how     string // how that is tested: whole sentences
	lacks   func() string
	// run does it, on a host with folders of its own. What saigen did wrong is in the figures; an error says that the scenario
	// itself could not do its work.
	run func(ctx context.Context, h *host) (figures, error)
}

// allScenarios is the table, in the order of the page.
func allScenarios() []scenario {
	return []scenario{
		{
			name:    "sweep",
			promise: "saigen may be killed with SIGKILL at any time. `saigen gc`, or the next `saigen run`, removes all that it has left; images and snapshots stay whole; and the next run gives the right verdict.",
			how: "saigen is killed when a line appears in the run's `ledger.jsonl` or `events.jsonl`, for each line, and at times spread evenly between them: " +
				"`run` on container and on qemu, from a snapshot and while one is saved, `up`, `down` and `gc` themselves. After every second kill `saigen gc` cleans up, " +
				"after the others the next run does. Then the host is compared with what it was, and the cache with what it held, and a whole run must give the verdict that is expected.",
			lacks: lacks("podman", "runc"),
			run:   sweep,
		},
		{
			name:    "deaths",
			promise: "When something dies that a run stands on, saigen ends by itself, in bounded time, with exit code 3 and a message that says what has died, or with the right verdict where it did not matter; never with a wrong one. It leaves nothing, and the next run gives the right verdict.",
			how: "while a run goes on, the podman service of saigen's engine, the conmon or the init of a machine, the agent in it, QEMU, or the kernel in it is killed: " +
				"at the boot, the injection, in the control arm, the fault, the soak, and at the end. *Slowest clean-up* is the time from there to saigen's end.",
			lacks: lacks("podman", "runc"),
			run:   die,
		},
		{
			name:    "interrupts",
			promise: "The first ^C, SIGTERM, a terminal that is closed, or a pipe whose reader ends heals the faults, destroys the machines and leaves nothing, in bounded time; the exit code is 130. A second ^C ends saigen at once, which says what is left, and `saigen gc` removes that.",
			how: "each is done in every phase of a run, while an image store is made, and in `up`, `down` and `gc`. After the second ^C saigen must have ended within a second, and a whole run must give the right verdict. " +
				"*Slowest clean-up* is that of `saigen gc`.",
			lacks: lacks("podman", "runc"),
			run:   interrupts,
		},
		{
			name:    "full",
			promise: "A disk that is full, whatever is written to it, makes no wrong verdict: saigen says that there is no space left, in which folders, and how to make room; the exit code is 3. Nothing half-made stays. With room again the next run gives the right verdict.",
			how: "the folder of the state, or that of one kind of entries of the cache, is a small file system in memory that only saigen sees. It is filled before a run but for so many bytes, or in a phase of it to the last byte, or it is too small " +
				"for the image store, the disk or the snapshot that is made. A snapshot that cannot be saved costs a warning.",
			lacks: lacks("podman", "runc", "unshare", "nsenter"),
			run:   full,
		},
		{
			name:    "locked",
			promise: "A folder that saigen cannot write to is named before anything starts, with what to do about it; the exit code is 2.",
			how:     "the folder of the state, and that of the cache, is a read-only file system that only saigen sees.",
			lacks:   lacks("podman", "runc", "unshare", "nsenter"),
			run:     locked,
		},
		{
			name:    "clocks",
			promise: "Nobody who sets a clock changes a verdict: it is the right one, or `inconclusive`.",
			how:     "the clock of a VM is set by an hour, forth, back, or there and back again, at the injection, in the fault and in the soak; the symptom of the lab goes by the time of a file. The host's clock, which containers share, is set in the runner's unit tests only.",
			lacks:   lacks("podman", "runc", "qemu-system-x86_64", "qemu-img"),
			run:     clocks,
		},
		{
			name:    "memory",
			promise: "Where memory runs short, in a machine, for QEMU or for saigen itself, there is no wrong verdict, saigen says who was killed, and what is left goes with `saigen gc`.",
			how:     "a process eats all memory of a VM; saigen is given no more address space than it has; QEMU is in a cgroup with less memory than its machine needs.",
			lacks:   lacks("podman", "runc"),
			run:     memory,
		},
		{
			name:    "together",
			promise: "Runs of one lab at the same time do not touch each other's things: each gives the right verdict, the cache is as one of them alone would have made it, and the lab's lock is whole.",
			how:     "a lab is run twice at once, in one folder and with one cache: with all that it needs, without stores, disks and snapshots, and without a lock.",
			lacks:   lacks("podman", "runc"),
			run:     together,
		},
	}
}

// lacks says which program of those that are needed this host does not have.
func lacks(programs ...string) func() string {
	return func() string {
		if os.Geteuid() != 0 {
			return "the container driver needs root"
		}
		for _, p := range programs {
			if _, err := exec.LookPath(p); err != nil {
				return "this host has no " + filepath.Base(p)
			}
		}
		return ""
	}
}
