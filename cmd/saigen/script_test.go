package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/saigen-lab/saigen/runner"
)

// scriptCommands are what scripts can do besides testscript's own commands.
func scriptCommands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"exits": exits, "interrupted": interrupted, "twice": twice, "killed": killed, "scrub": scrub, "tree": tree, "events": events, "joined": joined, "watched": watching, "publish": publish, "hungup": hungup, "unread": unread,
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
	demand(ts, want, args[1:], got)
}

func demand(ts *testscript.TestScript, want int, argv []string, got int) {
	if got != want {
		ts.Fatalf("%s ended with code %d, not %d", strings.Join(argv, " "), got, want)
	}
}

// patience bounds every wait of a test; nothing takes that long.
const patience = 30 * time.Second

// interrupted TEXT COMMAND… starts a command, sends it SIGINT when a run's events hold TEXT, and demands exit code 130.
// What it printed can be looked at as after exec.
func interrupted(ts *testscript.TestScript, _ bool, args []string) {
	demand(ts, runner.ExitInterrupted, args[1:], signalled(ts, args[1:], step{args[0], os.Interrupt}))
}

// twice TEXT COMMAND… is interrupted with a second SIGINT as soon as the first one is seen to work.
func twice(ts *testscript.TestScript, _ bool, args []string) {
	code := signalled(ts, args[1:], step{args[0], os.Interrupt}, step{`"type":"failed"`, os.Interrupt})
	demand(ts, runner.ExitInterrupted, args[1:], code)
}

// killed TEXT COMMAND… starts a command, and kills it when a run's events hold TEXT.
func killed(ts *testscript.TestScript, _ bool, args []string) {
	signalled(ts, args[1:], step{args[0], os.Kill})
}

// joined TEXT COMMAND… -- RUN… starts a run, and when its events hold TEXT the command, twice: the first one is interrupted, and must
// end with 0; then the run is, and the second one must end as the run does. What the second one printed can be looked at.
func joined(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cut := slices.Index(args, "--")
	start := func(argv []string, out, errors io.Writer) *exec.Cmd {
		cmd := command(ts, ctx, argv)
		cmd.Stdout, cmd.Stderr = out, errors
		ts.Check(cmd.Start())
		return cmd
	}
	saw := func(b *lockedBuffer, text string) {
		if !await(ctx, func() bool { return strings.Contains(b.String(), text) }) {
			ts.Fatalf("%q was never printed, but %s", text, b.String())
		}
	}
	var run, first, second lockedBuffer
	under := start(args[cut+1:], &run, io.Discard)
	defer func() { _ = under.Process.Kill() }()
	told := func() bool {
		files, _ := filepath.Glob(filepath.Join(ts.Getenv("RUNS"), "*", runner.EventsFile))
		return slices.ContainsFunc(files, func(f string) bool {
			data, _ := os.ReadFile(f)
			return strings.Contains(string(data), args[0])
		})
	}
	if !await(ctx, told) {
		ts.Fatalf("%s never told %s", args[cut+1:], args[0])
	}
	leaves := start(args[1:cut], &first, io.Discard)
	saw(&first, "fault: started")
	ts.Check(leaves.Process.Signal(os.Interrupt))
	ts.Check(leaves.Wait())
	stays := start(args[1:cut], &second, ts.Stderr())
	saw(&second, "fault: started")
	ts.Check(under.Process.Signal(os.Interrupt))
	_, _ = under.Wait(), stays.Wait()
	demand(ts, under.ProcessState.ExitCode(), args[1:cut], stays.ProcessState.ExitCode())
	_, _ = io.WriteString(ts.Stdout(), second.String())
}

// watching COMMAND… starts saigen watch, interrupts it when it waits, and demands that it ends with 0. What it printed can be
// looked at as after exec.
func watching(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errors lockedBuffer
	cmd := command(ts, ctx, args)
	cmd.Stdout, cmd.Stderr = &out, &errors
	ts.Check(cmd.Start())
	if !await(ctx, func() bool { return strings.Contains(errors.String(), "^C ends\n") }) {
		_ = cmd.Process.Kill()
		ts.Fatalf("the watch is not waiting: %s%s", out.String(), errors.String())
	}
	ts.Check(cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait()
	demand(ts, 0, args, cmd.ProcessState.ExitCode())
	_, _ = io.WriteString(ts.Stdout(), out.String())
	_, _ = io.WriteString(ts.Stderr(), errors.String())
}

// lockedBuffer is what a command has printed so far.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// step is a signal that is sent when the events of a run hold a text.
type step struct {
	text   string
	signal os.Signal
}

// signalled starts a command, sends it signals as the run that it began goes on, and returns its exit code.
func signalled(ts *testscript.TestScript, argv []string, steps ...step) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	pattern := filepath.Join(ts.Getenv("RUNS"), "*", runner.EventsFile)
	before, err := filepath.Glob(pattern)
	ts.Check(err)
	cmd := command(ts, ctx, argv)
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	ts.Check(cmd.Start())
	for _, step := range steps {
		reached := await(ctx, func() bool {
			files, _ := filepath.Glob(pattern)
			return slices.ContainsFunc(files, func(f string) bool {
				data, _ := os.ReadFile(f)
				return !slices.Contains(before, f) && strings.Contains(string(data), step.text)
			})
		})
		if !reached {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			ts.Fatalf("%s never told %s", strings.Join(argv, " "), step.text)
		}
		ts.Check(cmd.Process.Signal(step.signal))
	}
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

// command is a command of a script, in the script's environment.
func command(ts *testscript.TestScript, ctx context.Context, argv []string) *exec.Cmd {
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
	return cmd
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

var idOfRun = regexp.MustCompile(`\d{8}-\d{6}-[0-9a-f]{4}`)

// passing is what differs from run to run.
var passing = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`https://127\.0\.0\.1:\d+`), "SITE"},
	{regexp.MustCompile(`\b[0-9a-f]{40}\b`), "COMMIT"},
	{regexp.MustCompile(`sha256:[0-9a-f]{64}\b|\b[0-9a-f]{64}\b`), "SUM"},
	{idOfRun, "RUN"},
	{regexp.MustCompile(`\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?Z?|\d{1,2} [A-Z][a-z]{2} \d{2}:\d{2}`), "WHEN"},
	{regexp.MustCompile(`\btime="[0-9.]+"`), `time="TIME"`},
	{regexp.MustCompile(`\b(\d+ (m|h) )?\d+(\.\d+)? ?(ms|s|m)\b`), "TIME"},
	{regexp.MustCompile(`(?m)^ +TIME`), "TIME"},
	{regexp.MustCompile(`(\S) {2,}`), "$1  "}, // columns are as wide as the durations in them
	{regexp.MustCompile(`(?m)^ {5,}`), "     "},
	{regexp.MustCompile(`─{3,}`), "───"},
	{regexp.MustCompile(`(never appeared; control: )[^;]*;`), "$1SEEN;"}, // how far it came when the fault arm failed
}

// scrub FILE prints a file, or stdout or stderr, with RUN for ids of runs, WHEN for times, TIME for durations, WORK for the
// script's folder, columns closed up, and without the lines of the control arm.
func scrub(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.ReplaceAll(ts.ReadFile(args[0]), ts.Getenv("WORK"), "WORK")
	for _, p := range passing {
		text = p.what.ReplaceAllString(text, p.by)
	}
	text = strings.Join(slices.DeleteFunc(strings.SplitAfter(text, "\n"), ofControl), "")
	_, err := ts.Stdout().Write([]byte(text))
	ts.Check(err)
}

// ofControl says whether a line is about the control arm, which goes on beside the fault arm: where such lines come among
// the others, and how many there are when the fault arm fails, differs from run to run.
func ofControl(line string) bool { return strings.Contains(line, "control arm") }

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
		fmt.Fprintln(ts.Stdout(), idOfRun.ReplaceAllString(name, "RUN"))
		return err
	}))
}

// events FILE checks that every line is an event as runner/events.go documents it, and prints the types in the order in
// which each comes first.
func events(ts *testscript.TestScript, _ bool, args []string) {
	known := []runner.EventType{
		runner.DriverChosen, runner.RunStarted, runner.Prepared, runner.TrialStarted, runner.ArmStarted, runner.PhaseStarted, runner.Step,
		runner.Observed, runner.Appeared, runner.Broken, runner.PhaseEnded, runner.ArmEnded, runner.Warning, runner.Failed,
		runner.TrialEnded, runner.Leaked, runner.RunEnded, runner.Compared,
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
