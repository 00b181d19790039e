// Command saigen turns a past incident into a repeatable test. It knows every room and wires them together; what a
// command does beyond that is done in the rooms.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/container"
	"github.com/saigen-lab/saigen/faults"
	"github.com/saigen-lab/saigen/fetch"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

// world is everything outside the process that a command may touch, so that a command can be run in a test.
type world struct {
	args    []string // without the program's name
	env     func(string) string
	stdin   *os.File
	stdout  io.Writer
	stderr  io.Writer
	drivers []driverEntry // the cheapest first
	kinds   labfile.Kinds
	fetcher newFetcher
	log     *slog.Logger
	host    host
	// watches says that the command looks on, or goes into a machine: ^C ends it, and nothing has to be healed or destroyed.
	watches atomic.Bool
	making  atomic.Int32           // how many are changing the host: see hold
	folder  atomic.Pointer[string] // of the run under way; nil: none
}

// newFetcher makes what fetches labs, and keeps them in a cache.
type newFetcher func(cacheDir string, log *slog.Logger) *fetch.Fetcher

func main() {
	os.Exit(enter(os.Args[1:], shippedDrivers(), labfile.Kinds{Faults: faults.Kinds(), Assertions: assertions.Kinds()}, fetch.New))
}

// enter runs the command, or one of the two helpers that are the same binary: the agent in a machine, and the first
// process of the private podman service.
func enter(args []string, drivers []driverEntry, kinds labfile.Kinds, fetcher newFetcher) int {
	if len(args) > 0 {
		switch args[0] {
		case "guest":
			return guest.Main(args[1:], kinds.Assertions)
		case "engine":
			return container.EngineMain(args[1:])
		}
	}
	level := slog.LevelWarn
	if os.Getenv("SAIGEN_DEBUG") != "" {
		level = slog.LevelDebug
	}
	w := &world{
		args: args, env: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, drivers: drivers, kinds: kinds, fetcher: fetcher,
		log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
	}
	ctx, stop := w.interruptible()
	defer stop()
	return w.run(ctx)
}

// exitError carries an exit code up to main. Its text, if any, is printed; the exit codes are named in runner.
type exitError struct {
	code int
	err  error  // nil: everything has been said
	said string // what that was, where a report wants it
	hint string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func usage(format string, args ...any) error {
	return &exitError{code: runner.ExitUsage, err: fmt.Errorf(format, args...)}
}

func (w *world) run(ctx context.Context) int {
	root := w.root()
	root.SetArgs(goFlags(w.args))
	root.SetOut(w.stdout)
	root.SetErr(w.stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case ctx.Err() != nil && (err != nil || !w.watches.Load()):
		return runner.ExitInterrupted
	case err == nil:
		return 0
	}
	return w.fail(err)
}

// fail prints an error, unless everything has been said, and returns its exit code.
func (w *world) fail(err error) int {
	code, hint, tail := runner.ExitUsage, "", ""
	if e := (*exitError)(nil); errors.As(err, &e) {
		if e.err == nil {
			return e.code
		}
		code, hint = e.code, e.hint
	} else if e := (*lab.InfraError)(nil); errors.As(err, &e) {
		code, hint, tail = runner.ExitInconclusive, e.Hint, e.Tail
	}
	if more := w.advise(err); more != "" { // nothing is wrong with the command line, nor with what is installed
		code, hint = max(code, runner.ExitInconclusive), strings.TrimSpace(more+"\n"+hint)
	}
	report.Failure(w.stderr, err.Error(), tail, hint)
	return code
}

// goFlags lets the flags of fmt be written with one dash, as those of go and terraform fmt are.
func goFlags(args []string) []string {
	if len(args) == 0 || args[0] != "fmt" {
		return args
	}
	out := slices.Clone(args)
	for i, a := range out {
		if a == "-check" || a == "-diff" {
			out[i] = "-" + a
		}
	}
	return out
}

func (w *world) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "saigen",
		Short: "Turn a past incident into a repeatable test",
		Long: `saigen builds the machines of a lab, injects the fault that caused an incident, and proves that the
symptoms follow from it: absent without the fault, present with it, gone after the remedy.`,
		Example: `  saigen validate labs                     check every lab below a folder
  saigen run labs/stale-dns                run all variants of a lab
  saigen run labs/stale-dns debian:bookworm trigger:port_taken --repeat 10
  saigen run 'git::https://example.com/labs.git//stale-dns?ref=v1.2'
  saigen up labs/stale-dns debian:bookworm trigger:port_taken
  saigen shell --account alice             look around in the broken machine
  saigen down`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%v", err) })
	root.AddGroup(
		&cobra.Group{ID: "labs", Title: "Labs:"},
		&cobra.Group{ID: "machines", Title: "The broken machine:"},
		&cobra.Group{ID: "host", Title: "This host:"},
	)
	root.SetHelpCommandGroupID("host")
	root.SetCompletionCommandGroupID("host")
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("labs", w.runCommand(), w.watchCommand(), w.validateCommand(), w.fmtCommand(), w.listCommand(), w.kindsCommand(), w.boxCommand(), w.runsCommand(), w.showCommand(), w.reportCommand(), w.judgeCommand(), w.diffCommand())
	add("machines", w.upCommand(), w.attachCommand(), w.shellCommand(), w.execCommand(), w.logsCommand(), w.downCommand())
	add("host", w.doctorCommand(), w.cacheCommand(), w.gcCommand(), w.versionCommand())
	return root
}
