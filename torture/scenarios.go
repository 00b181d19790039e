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
