package main

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/report"
)

// inside are the flags of the commands that go into a machine.
type inside struct {
	run, machine, account string
	cleaned               bool // what is printed is for a person to read, not for a terminal to do
}

func (w *world) insideFlags(c *cobra.Command, in *inside) {
	c.Flags().StringVar(&in.run, "run", "", "the `RUN` (default: the newest that is up)")
	c.Flags().StringVar(&in.account, "account", "", "the `ACCOUNT` whose session to use (default: root)")
	_ = c.RegisterFlagCompletionFunc("run", w.completeUp)
	_ = c.RegisterFlagCompletionFunc("account", w.completeAccounts)
}

func (w *world) shellCommand() *cobra.Command {
	var in inside
	c := &cobra.Command{
		Use:   "shell [MACHINE]",
		Short: "Open a shell in a machine, in the session of an account",
		Long: `Open a shell in a machine that saigen up, or run --keep, left running: the lab's first, or the one that is named. It is
a real session of the account, as the lab declares it. Its exit code is saigen's.`,
		Example: "  saigen shell --account alice",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				in.machine = args[0]
			}
			return w.inMachine(cmd, in, []string{"/bin/bash", "-l"})
		},
		ValidArgsFunction: w.completeMachines,
	}
	w.insideFlags(c, &in)
	return c
}

func (w *world) execCommand() *cobra.Command {
	var in inside
	c := &cobra.Command{
		Use:     "exec [flags] -- COMMAND [ARG ...]",
		Short:   "Run one command in a machine, in the session of an account",
		Long:    "Run one command in a machine. Its exit code is saigen's. With a terminal on both sides it gets one too.",
		Example: "  saigen exec --account alice -- podman ps",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("a command is missing: saigen exec -- COMMAND")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return w.inMachine(cmd, in, args) },
	}
	w.insideFlags(c, &in)
	c.Flags().StringVar(&in.machine, "machine", "", "the `MACHINE` (default: the lab's first)")
	_ = c.RegisterFlagCompletionFunc("machine", w.completeMachines)
	return c
}

// inMachine runs a command in a machine with our own streams, and ends with its exit code. What it prints is passed on as it is: a
// person at a terminal in a machine has that machine's terminal.
func (w *world) inMachine(cmd *cobra.Command, in inside, argv []string) error {
	ctx := cmd.Context()
	w.watches.Store(true)
	m, info, err := w.connect(ctx, in.run, in.machine)
	if err != nil {
		return err
	}
	if in.account != "" && len(info.Accounts) > 0 && !slices.Contains(info.Accounts, in.account) {
		return usage("there is no account %q in this lab: it has %v", in.account, info.Accounts)
	}
	command := lab.Command{Argv: argv, Account: in.account, Stdin: w.stdin, Stdout: w.stdout, Stderr: w.stderr}
	out, isTerminal := terminal(w.stdout)
	if in.cleaned {
		stdout, stderr := report.NewLines(w.stdout), report.NewLines(w.stderr)
		defer func() { _, _ = stdout.Close(), stderr.Close() }()
		command.Stdin, command.Stdout, command.Stderr = nil, stdout, stderr
	} else if isTerminal && term.IsTerminal(int(w.stdin.Fd())) {
		restore, tty, err := rawTerminal(w.stdin, out, w.env("TERM"))
		if err != nil {
			return err
		}
		defer restore()
		command.TTY = tty
	}
	res, err := m.Run(ctx, command)
	if err != nil {
		return err
	}
	if res.Code != 0 {
		return &exitError{code: res.Code}
	}
	return nil
}

// rawTerminal makes our terminal pass everything on, and tells the other one its size.
func rawTerminal(in, out *os.File, name string) (restore func(), tty *lab.TTY, err error) {
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot set up the terminal: %v", err)
	}
	size := func() [2]uint16 {
		cols, rows, err := term.GetSize(int(out.Fd()))
		if err != nil {
			return [2]uint16{24, 80}
		}
		return [2]uint16{uint16(rows), uint16(cols)}
	}
	resize := make(chan [2]uint16, 1)
	changed := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-changed:
				select {
				case resize <- size():
				case <-done:
					return
				}
			}
		}
	}()
	now := size()
	return func() {
		signal.Stop(changed)
		close(done)
		_ = term.Restore(int(in.Fd()), state)
	}, &lab.TTY{Term: name, Rows: now[0], Cols: now[1], Resize: resize}, nil
}

func trimNewline(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	return b
}
