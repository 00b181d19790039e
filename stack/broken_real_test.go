package stack_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/runner"
)

// broken is what is said first of each variant of the lab in testdata/broken.
var broken = map[string]string{
	"port_busy":   `cannot start stack.web: port 4430, which service "proxy" publishes, is taken on machine.server by "nginx" of account alice, process `,
	"no_program":  "cannot start stack.web: service \"proxy\" did not start: crun: executable file `ngin` not found in $PATH",
	"exits":       `service "proxy" of stack.web exited with code 7: "cannot connect to database: no DATABASE_URL"`,
	"exits_later": `service "proxy" of stack.web exited with code 9: "cannot write to /data: no space left"`,
	"restarts":    `service "proxy" of stack.web ends again and again (restarts so far: `,
	"dependency":  `service "app" of stack.web exited with code 7: "cannot connect to database"`,
}

// Wherever a person reads of a stack that did not come up, the first thing said is why.
func TestRealBrokenStacks(t *testing.T) {
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("starts machines: set SAIGEN_REAL=1")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	saigen := filepath.Join(dir, "saigen")
	if out, err := exec.Command("go", "build", "-o", saigen, "../cmd/saigen").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	junit, markdown := filepath.Join(dir, "junit.xml"), filepath.Join(dir, "summary.md")
	cmd := exec.CommandContext(t.Context(), saigen, "run", "testdata/broken", "--driver", "container", "--junit", junit, "--markdown", markdown)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(dir, "state"))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it cleans up
	terminal, err := cmd.CombinedOutput()
	t.Logf("%s", terminal)
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("got %v, want exit code 3", err)
	}
	folder := filepath.Dir(one(t, filepath.Join(dir, "state", "saigen", "runs", "*", runner.SummaryFile)))
	page := html.UnescapeString(read(t, filepath.Join(folder, "report.html")))
	summary := strings.ReplaceAll(read(t, markdown), `\`, "")
	cases := messages(t, junit)
	if len(cases) != len(broken) {
		t.Errorf("%d test cases failed in the JUnit report", len(cases))
	}
	for mistake, want := range broken {
		t.Run(mistake, func(t *testing.T) {
			var o runner.Outcome
			if err := json.Unmarshal([]byte(read(t, filepath.Join(folder, mistake+",1", "verdict.json"))), &o); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(o.Because, want) {
				t.Errorf("got  %s\nwant %s…", o.Because, want)
			}
			if o.Hint == "" {
				t.Error("no hint")
			}
			if strings.HasPrefix(mistake, "exits") && o.Took > 40*time.Second {
				t.Errorf("it took %s", o.Took)
			}
			if !strings.Contains(string(terminal), "FAILED: "+want) {
				t.Error("the terminal does not say it first")
			}
			if !strings.Contains(cases["mistake:"+mistake], "inconclusive, expected reproduced: "+want) {
				t.Errorf("JUnit says %q", cases["mistake:"+mistake])
			}
			if !strings.Contains(summary, "| 1 | "+want) {
				t.Error("the summary in Markdown does not say it first")
			}
			if first := strings.ToUpper(want[:1]) + want[1:]; !strings.Contains(page, first) {
				t.Errorf("report.html does not say %s", first)
			}
		})
	}
}

// messages are what a JUnit report says of each test case that could not be decided.
func messages(t *testing.T, file string) map[string]string {
	t.Helper()
	var suites struct {
		Cases []struct {
			Name  string `xml:"name,attr"`
			Error struct {
				Message string `xml:"message,attr"`
			} `xml:"error"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal([]byte(read(t, file)), &suites); err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, c := range suites.Cases {
		said[c.Name] = c.Error.Message
	}
	return said
}

func one(t *testing.T, pattern string) string {
	t.Helper()
	all, err := filepath.Glob(pattern)
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: %v, %v", pattern, all, err)
	}
	return all[0]
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
