package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/faults"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
)

var update = flag.Bool("update", false, "write the golden files and docs/ instead of comparing with them")

// TestMain makes this test binary the command saigen, with the driver and the kinds of labtest besides the real ones.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"saigen": func() {
		drivers := map[string]newDriver{"container": newContainerDriver, "fake": newFakeDriver, "leaky": newLeakyDriver}
		os.Exit(enter(os.Args[1:], drivers, testKinds()))
	}})
}

func testKinds() labfile.Kinds {
	return labfile.Kinds{
		Faults:     append(faults.Kinds(), labtest.Breakers()...),
		Assertions: append(assertions.Kinds(), labtest.Observers()...),
	}
}

// fakeDriver runs fake machines, and has files in the run's scratch/ as a real driver does.
type fakeDriver struct {
	*labtest.Driver
	session *session
}

func newFakeDriver(_ *world, s *session) (driver, error) {
	if err := os.MkdirAll(filepath.Join(s.scratch(), "volume"), 0o755); err != nil {
		return nil, err
	}
	return &fakeDriver{&labtest.Driver{Kinds: assertions.Kinds()}, s}, nil
}

// newLeakyDriver leaves a process of the run behind: one that ends with the test at the latest.
func newLeakyDriver(w *world, s *session) (driver, error) {
	tail := exec.Command("tail", "-f", fmt.Sprintf("--pid=%d", os.Getppid()), filepath.Join(s.folder, runInfoFile))
	if err := tail.Start(); err != nil {
		return nil, err
	}
	return newFakeDriver(w, s)
}

// Close says what the run has left alive; the machines of a run that is kept may live on.
func (d *fakeDriver) Close(context.Context) error {
	left := d.Left()
	if d.session.info.Up != nil {
		left = slices.DeleteFunc(left, func(s string) bool { return strings.HasPrefix(s, "machine.") })
	}
	if len(left) > 0 {
		return fmt.Errorf("left alive: %s", strings.Join(left, ", "))
	}
	return nil
}

// TestScripts runs testdata/script. Each script has folders of its own for HOME and XDG, a copy of testdata/labs in labs/,
// and besides testscript's commands those of scriptCommands.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			e.Setenv("RUNS", filepath.Join(e.WorkDir, "state", "saigen", "runs"))
			e.Setenv("LANG", "C.UTF-8")
			e.Setenv("LABS", filepath.Join(repository(), "labs"))
			return errors.Join(
				os.Mkdir(filepath.Join(e.WorkDir, "home"), 0o755),
				os.CopyFS(filepath.Join(e.WorkDir, "labs"), os.DirFS("testdata/labs")),
			)
		},
		Cmds: scriptCommands(),
	})
}

func repository() string {
	here, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return filepath.Dir(filepath.Dir(here))
}

func scriptCommands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"exits": exits, "interrupted": interrupted, "killed": killed, "scrub": scrub, "tree": tree, "events": events,
	}
}

// exits CODE COMMAND… runs a command that must end with this exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with code %d, not %d", strings.Join(args[1:], " "), got, want)
	}
}

// patience bounds every wait of a test; nothing takes that long.
const patience = 30 * time.Second

// interrupted TEXT COMMAND… starts a command, sends it SIGINT when a run's events hold TEXT, and demands exit code 130.
// What it printed can be looked at as after exec.
func interrupted(ts *testscript.TestScript, _ bool, args []string) {
	if code := signalled(ts, os.Interrupt, args[0], args[1:]); code != runner.ExitInterrupted {
		ts.Fatalf("%s ended with code %d, not %d", strings.Join(args[1:], " "), code, runner.ExitInterrupted)
	}
}

// killed TEXT COMMAND… starts a command, and kills it when a run's events hold TEXT.
func killed(ts *testscript.TestScript, _ bool, args []string) {
	signalled(ts, os.Kill, args[0], args[1:])
}

// signalled starts a command, sends it a signal when the events of a run that it began hold a text, and returns its exit
// code.
func signalled(ts *testscript.TestScript, signal os.Signal, text string, argv []string) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	pattern := filepath.Join(ts.Getenv("RUNS"), "*", runner.EventsFile)
	before, err := filepath.Glob(pattern)
	ts.Check(err)
	path := argv[0]
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if p := filepath.Join(dir, argv[0]); path == argv[0] {
			if _, err := os.Stat(p); err == nil {
				path = p
			}
		}
	}
	cmd := exec.CommandContext(ctx, path, argv[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "PATH", "LANG"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	ts.Check(cmd.Start())
	reached := await(ctx, func() bool {
		files, _ := filepath.Glob(pattern)
		return slices.ContainsFunc(files, func(f string) bool {
			data, _ := os.ReadFile(f)
			return !slices.Contains(before, f) && strings.Contains(string(data), text)
		})
	})
	_ = cmd.Process.Signal(signal)
	_ = cmd.Wait()
	if !reached {
		ts.Fatalf("%s never told %s", strings.Join(argv, " "), text)
	}
	return cmd.ProcessState.ExitCode()
}

// await looks until a condition holds or ctx ends.
func await(ctx context.Context, holds func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// passing is what differs from run to run.
var passing = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`\d{8}-\d{6}-[0-9a-f]{4}`), "RUN"},
	{regexp.MustCompile(`\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?Z?|\d{1,2} [A-Z][a-z]{2} \d{2}:\d{2}`), "WHEN"},
	{regexp.MustCompile(`\btime="[0-9.]+"`), `time="TIME"`},
	{regexp.MustCompile(`\b(\d+ (m|h) )?\d+(\.\d+)? ?(ms|s|m)\b`), "TIME"},
	{regexp.MustCompile(`(?m)^ +TIME`), "TIME"},
	{regexp.MustCompile(`(\S) {2,}`), "$1  "}, // columns are as wide as the durations in them
	{regexp.MustCompile(`(?m)^ {5,}`), "     "},
	{regexp.MustCompile(`─{3,}`), "───"},
}

// scrub FILE prints a file, or stdout or stderr, with RUN for ids of runs, WHEN for times, TIME for durations, WORK for the
// script's folder, and columns closed up.
func scrub(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.ReplaceAll(ts.ReadFile(args[0]), ts.Getenv("WORK"), "WORK")
	for _, p := range passing {
		text = p.what.ReplaceAllString(text, p.by)
	}
	_, err := ts.Stdout().Write([]byte(text))
	ts.Check(err)
}

// tree FOLDER prints the names of everything below a folder, with RUN for ids of runs.
func tree(ts *testscript.TestScript, _ bool, args []string) {
	root := ts.MkAbs(args[0])
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if d.IsDir() {
			name += "/"
		}
		fmt.Fprintln(ts.Stdout(), passing[0].what.ReplaceAllString(name, passing[0].by))
		return err
	}))
}

// events FILE checks that every line is an event as runner/events.go documents it, and prints the types in the order in
// which each comes first.
func events(ts *testscript.TestScript, _ bool, args []string) {
	known := []runner.EventType{
		runner.RunStarted, runner.Prepared, runner.TrialStarted, runner.ArmStarted, runner.PhaseStarted, runner.Step,
		runner.Observed, runner.Appeared, runner.Broken, runner.PhaseEnded, runner.ArmEnded, runner.Warning, runner.Failed,
		runner.TrialEnded, runner.Leaked, runner.RunEnded,
	}
	lines := bufio.NewScanner(strings.NewReader(ts.ReadFile(args[0])))
	lines.Buffer(nil, 1<<20)
	var seen []runner.EventType
	for lines.Scan() {
		var e struct {
			runner.Event
			Observation json.RawMessage `json:"observation"`
		}
		strict := json.NewDecoder(strings.NewReader(lines.Text()))
		strict.DisallowUnknownFields()
		if err := strict.Decode(&e); err != nil {
			ts.Fatalf("%s: %v", lines.Text(), err)
		}
		if !slices.Contains(known, e.Type) || e.At.IsZero() {
			ts.Fatalf("not a documented event: %s", lines.Text())
		}
		if !slices.Contains(seen, e.Type) {
			seen = append(seen, e.Type)
		}
	}
	ts.Check(lines.Err())
	for _, s := range seen {
		fmt.Fprintln(ts.Stdout(), s)
	}
}
