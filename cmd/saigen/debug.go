package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

// pauseFlags say where a run stops for a person.
type pauseFlags struct {
	at    []string
	debug bool
}

func (f *pauseFlags) register(c *cobra.Command) {
	var points []string
	for _, p := range runner.Points() {
		points = append(points, string(p))
	}
	c.Flags().StringSliceVar(&f.at, "pause-at", nil, "stop at these `POINTS` until Enter is pressed: "+strings.Join(points, ", "))
	c.Flags().BoolVar(&f.debug, "debug", false, "open a shell in the machine, as the account concerned, where something surprises; leaving it goes on")
	_ = c.RegisterFlagCompletionFunc("pause-at", cobra.FixedCompletions(points, cobra.ShellCompDirectiveNoFileComp))
}

// points are those at which the run stops.
func (f pauseFlags) points() (map[runner.Point]bool, error) {
	all := map[runner.Point]bool{}
	if f.debug {
		all[runner.AtFailure] = true
	}
	for _, text := range f.at {
		p := runner.Point(text)
		if !slices.Contains(runner.Points(), p) {
			return nil, usage("--pause-at takes %v, not %q", runner.Points(), text)
		}
		all[p] = true
	}
	return all, nil
}

// check says what is wrong with the flags on this terminal.
func (f pauseFlags) check(w *world, json bool) error {
	points, err := f.points()
	switch {
	case err != nil || len(points) == 0:
		return err
	case !isTerminal(w.stdin):
		return usage("--pause-at and --debug need a terminal: nobody could press Enter or type into the shell")
	case json:
		return usage("--json cannot be given with --pause-at or --debug: a person and a program cannot share the output")
	}
	return nil
}

// person is who is asked at a pause. Arms come to one side by side, and there is one terminal.
type person struct {
	run   *activeRun
	debug bool
	turn  chan struct{}
	aside func(do func()) // calls do while nothing else is drawn on the terminal
}

// ask has the run stop for a person where the flags say.
func (r *activeRun) ask(f pauseFlags, printer runner.Sink) {
	points, _ := f.points() // checked when the command line was read
	if len(points) == 0 {
		return
	}
	p := &person{run: r, debug: f.debug, turn: make(chan struct{}, 1), aside: func(do func()) { do() }}
	if t, ok := printer.(*report.Terminal); ok {
		p.aside = t.Aside
	}
	r.runner.Pause, r.runner.PauseAt = p.pause, points
}

func (p *person) pause(ctx context.Context, at runner.Pause) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return
	}
	if p.debug && at.Machine != nil {
		p.shell(ctx, at)
		return
	}
	if err := p.wait(ctx, at); err != nil {
		at.Say(fmt.Sprintf("goes on: %v", err), "")
	}
}

// shell opens a shell in the machine, and returns when it was left.
func (p *person) shell(ctx context.Context, at runner.Pause) {
	account := at.Account
	if account == "" {
		account = "root"
	}
	at.Say(fmt.Sprintf("a shell is open in %s as %s; leave it to go on", at.Machine.Ref(), account), "")
	w := p.run.w
	p.aside(func() {
		report.Held(w.stderr, w.style(w.stderr), at.Arm+" arm: "+at.Why,
			fmt.Sprintf("This is %s, as %s, with everything as it was. Leave the shell to go on.", at.Machine.Ref(), account))
		if err := w.inShell(ctx, at.Machine, at.Account); err != nil {
			fmt.Fprintf(w.stderr, "Error: %v\n", err)
		}
	})
}

// inShell gives the terminal to a shell in a machine. How the shell ends says nothing.
func (w *world) inShell(ctx context.Context, m lab.Running, account string) error {
	in, stop, err := stoppable(ctx, w.stdin)
	if err != nil {
		return err
	}
	defer stop()
	command := lab.Command{Argv: []string{"/bin/bash", "-l"}, Account: account, Stdin: in, Stdout: w.stdout, Stderr: w.stderr}
	if out, ok := terminal(w.stdout); ok {
		restore, tty, err := rawTerminal(w.stdin, out, w.env("TERM"))
		if err != nil {
			return err
		}
		defer restore()
		command.TTY = tty
	}
	_, err = m.Run(ctx, command)
	return err
}

// goOnFile is a pipe in the scratch folder of a run, while the run waits for somebody to press Enter: a byte in it is as good.
const goOnFile = "go-on"

// wait returns when Enter was pressed, here or in saigen attach.
func (p *person) wait(ctx context.Context, at runner.Pause) error {
	path := filepath.Join(p.run.scratch(), goOnFile)
	if err := errors.Join(os.MkdirAll(p.run.scratch(), 0o700), unix.Mkfifo(path, 0o600)); err != nil {
		return fmt.Errorf("cannot wait for a person: %v", err)
	}
	defer os.Remove(path)
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot wait for a person: %v", err)
	}
	fifo := os.NewFile(uintptr(fd), path)
	defer fifo.Close()
	defer context.AfterFunc(ctx, func() { _, _ = unix.Write(fd, []byte{'\n'}) })()
	at.Say("press Enter to go on", p.way(at))
	defer silent(p.run.w.stdin)()
	if err := (keys{p.run.w.stdin, fifo}).line(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// way is the command that looks around meanwhile, from another terminal. It reaches the fault arm of the first trial.
func (p *person) way(at runner.Pause) string {
	if at.Machine == nil || at.Arm != runner.Fault || p.run.runner.Parallel > 1 {
		return ""
	}
	command := fmt.Sprintf("saigen shell --run %s", p.run.id)
	if at.Account != "" {
		command += " --account " + at.Account
	}
	return command + " " + at.Machine.Ref().Name()
}

// goOn tells a run that is paused to go on. It says whether the run was.
func (s storedRun) goOn() bool {
	fd, err := unix.Open(filepath.Join(s.folder, "scratch", goOnFile), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte{'\n'})
	return err == nil
}
