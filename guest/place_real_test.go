package guest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// ask has an observer in the machine call one function of its place, and returns what that answered.
func ask[T any](t *testing.T, c *guest.Client, settings map[string]any) T {
	t.Helper()
	raw, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var best float64
	var last lab.Observation
	n := 0
	err = c.Watch(ctx, lab.Probe{Address: "ready.place.ask", Kind: "place", Settings: raw, Every: time.Millisecond, Timeout: 10 * time.Second}, func(o lab.Observation) {
		last = o
		if ms := o.Values["ms"]; n == 0 || ms < best {
			best = ms
		}
		if n++; n == 10 || o.Err != "" {
			cancel()
		}
	})
	if err != nil {
		t.Fatal(drivertest.Explain(err))
	}
	if last.Err != "" {
		t.Fatalf("%v: %s", settings, last.Err)
	}
	t.Logf("%v: %.1f ms at best", settings["call"], best)
	if best > 20 {
		t.Errorf("%v takes %.1f ms at best", settings["call"], best)
	}
	var answer T
	if err := json.Unmarshal([]byte(last.Summary), &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestRealPlace runs the service image app in every kind of session and looks at it from outside.
func TestRealPlace(t *testing.T) {
	c := realMachine(t)
	for _, a := range accounts {
		t.Run(a.Name, func(t *testing.T) {
			began := time.Now()
			// What the shared store shows of a file's owner is right in the account's containers, and the upper layer is writable.
			owners := text(t, c, a.Name, "podman run --rm localhost/app")
			for _, want := range []string{"owner of / 0 0", "owner of /proc/self/exe 0 0", "write <nil> as 0"} {
				if !strings.Contains(owners, want) {
					t.Errorf("the container says\n%s\nwithout %q", owners, want)
				}
			}
			id := text(t, c, a.Name, "podman network create web >/dev/null 2>&1; podman run -d --name app --network web localhost/app serve")
			t.Cleanup(func() {
				text(t, c, a.Name, "podman rm -f -i -t 0 app 2>/dev/null; podman network rm -f web")
			})
			pid := text(t, c, a.Name, "podman inspect app --format '{{.State.Pid}}'")

			all := ask[[]lab.Container](t, c, map[string]any{"call": "containers", "account": a.Name})
			if len(all) != 1 || all[0].ID != id || all[0].Name != "app" || fmt.Sprint(all[0].PID) != pid || len(all[0].Addresses) != 1 || !strings.HasPrefix(all[0].Addresses[0].String(), "10.89.") || all[0].Created.Before(began.Add(-time.Minute)) {
				t.Fatalf("got %+v, want app %s with pid %s and one address", all, id, pid)
			}
			page := ask[string](t, c, map[string]any{"call": "get", "account": a.Name, "container": "app"})
			if !strings.Contains(page, "hi") {
				t.Errorf("got page %q", page)
			}
			processes := ask[[]lab.Process](t, c, map[string]any{"call": "processes"})
			at := slices.IndexFunc(processes, func(p lab.Process) bool { return p.PID == all[0].PID })
			if at < 0 || processes[at].Account != a.Name || processes[at].Name != "app" || processes[at].Cmdline[1] != "serve" || processes[at].Memory < 1<<20 || !strings.Contains(processes[at].Cgroup, "/") {
				t.Errorf("the container's process %d is not listed right: %d of %+v", all[0].PID, at, processes)
			}

			logs := map[string]any{"call": "logs", "account": a.Name, "container": "app", "since": began}
			lines := ask[[]lab.LogLine](t, c, logs)
			has := func(text string) bool {
				return slices.ContainsFunc(lines, func(l lab.LogLine) bool { return l.Text == text && !l.At.Before(began.Add(-time.Second)) })
			}
			if !has("to stderr") || !has("owner of /proc/self/exe 0 0") {
				t.Errorf("got log %+v", lines)
			}
			text(t, c, a.Name, "podman rm -f -t 0 app")
			if again := ask[[]lab.LogLine](t, c, logs); len(again) < len(lines) {
				t.Errorf("of %d lines %d are left when the container is removed", len(lines), len(again))
			}
			if left := ask[[]lab.Container](t, c, map[string]any{"call": "containers", "account": a.Name}); len(left) != 0 {
				t.Errorf("removed container is listed: %+v", left)
			}
			r := ask[lab.Result](t, c, map[string]any{"call": "run", "account": a.Name, "argv": []string{"id", "-un"}})
			if string(r.Stdout) != a.Name+"\n" {
				t.Errorf("got %q", r.Stdout)
			}
		})
	}
	t.Run("k8s-file", func(t *testing.T) {
		settings := map[string]any{"call": "logs", "account": "lin", "container": "filed", "since": time.Now().Add(-time.Minute)}
		text(t, c, "lin", "podman run -d --name filed --log-driver k8s-file --network none localhost/app serve")
		t.Cleanup(func() { text(t, c, "lin", "podman rm -f -i -t 0 filed") })
		isThere := func(l lab.LogLine) bool { return l.Text == "to stderr" }
		lines := ask[[]lab.LogLine](t, c, settings)
		for deadline := time.Now().Add(10 * time.Second); !slices.ContainsFunc(lines, isThere); lines = ask[[]lab.LogLine](t, c, settings) {
			if time.Now().After(deadline) {
				t.Fatalf("got log %+v", lines)
			}
		}
		text(t, c, "lin", "podman rm -f -t 0 filed")
		if left := ask[[]lab.LogLine](t, c, settings); len(left) < len(lines) {
			t.Errorf("of %d lines %d are left when the container is removed", len(lines), len(left))
		}
	})
}
