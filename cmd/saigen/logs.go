package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// logFlags say what of a machine's journal is shown.
type logFlags struct {
	follow    bool
	container string
	stack     string
	services  []string
}

func (w *world) logsCommand() *cobra.Command {
	var in inside
	var f logFlags
	c := &cobra.Command{
		Use:   "logs [MACHINE]",
		Short: "Show a machine's journal, in which the containers' logs are too",
		Long: `Show the journal of a machine: the lab's first, or the one that is named; of a run that was left running, or with
--run of one that is under way. With --stack, what the services of a stack have written, on its own machine.
Terminal sequences in it are left out: what is in a log, anybody may have written.`,
		Example: `  saigen logs --account alice --follow
  saigen logs --stack alice -f
  saigen logs --stack alice --service proxy`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				in.machine = args[0]
			}
			match, err := w.journal(cmd.Context(), &in, f)
			if err != nil {
				return err
			}
			argv := []string{"journalctl", "--boot", "--no-pager", "--output", "short-precise"}
			if f.follow {
				argv = append(argv, "--follow")
			}
			in.account, in.cleaned = "", true // root reads everybody's
			return w.inMachine(cmd, in, append(argv, match...))
		},
		ValidArgsFunction: w.completeMachines,
	}
	w.insideFlags(c, &in)
	c.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on printing what is written")
	c.Flags().StringVar(&f.container, "container", "", "only what the container `NAME` wrote")
	c.Flags().StringVar(&f.stack, "stack", "", "only what the services of `STACK` wrote")
	c.Flags().StringSliceVar(&f.services, "service", nil, "with --stack: only these `SERVICES`")
	c.Flags().Lookup("account").Usage = "only what the processes of `ACCOUNT` wrote"
	c.MarkFlagsMutuallyExclusive("container", "stack")
	c.MarkFlagsMutuallyExclusive("account", "stack")
	return c
}

// journal are the matches that journalctl takes, of one field together with those of another. A stack says on which machine it is.
func (w *world) journal(ctx context.Context, in *inside, f logFlags) ([]string, error) {
	var match []string
	switch {
	case f.stack != "":
		s, err := w.stackOf(*in, f.stack)
		if err != nil {
			return nil, err
		}
		if in.machine != "" && in.machine != s.Machine.Name() {
			return nil, usage("stack %q is on machine %q, not on %q", s.Name, s.Machine.Name(), in.machine)
		}
		in.machine, in.account = s.Machine.Name(), s.Account
		if match, err = containers(s, f.services); err != nil {
			return nil, err
		}
	case len(f.services) > 0:
		return nil, usage("--service goes with --stack: two stacks may have services of the same name")
	case f.container != "":
		match = []string{"CONTAINER_NAME=" + f.container}
	}
	if in.account == "" {
		return match, nil
	}
	m, _, err := w.connect(ctx, in.run, in.machine)
	if err != nil {
		return nil, err
	}
	id, err := m.Run(ctx, lab.Command{Argv: []string{"id", "-u", in.account}})
	if err != nil {
		return nil, err
	}
	if id.Code != 0 {
		return nil, usage("there is no account %q on the machine", in.account)
	}
	return append(match, "_UID="+string(trimNewline(id.Stdout))), nil
}

// containers match what the services of a stack write; all of them when none is named.
func containers(s lab.Stack, services []string) ([]string, error) {
	var known, match []string
	for _, v := range s.Services {
		known = append(known, v.Name)
		if len(services) == 0 {
			match = append(match, "CONTAINER_NAME="+v.Container)
		}
	}
	for _, name := range services {
		v, ok := s.Service(name)
		if !ok {
			return nil, usage("stack %q has no service %q: it has %s", s.Name, name, strings.Join(known, ", "))
		}
		match = append(match, "CONTAINER_NAME="+v.Container)
	}
	return match, nil
}

// stackOf finds a stack in the lab as it was frozen when the run began.
func (w *world) stackOf(in inside, name string) (lab.Stack, error) {
	info, p, err := w.findRun(in.run, func(r runInfo) bool { return r.UpAs != "" && w.isUp(r.ID) }, "no machine is running: saigen up LAB brings one up")
	if err != nil {
		return lab.Stack{}, err
	}
	frozen, err := filepath.Glob(filepath.Join(p.runs, string(info.ID), "*", runner.LabFile))
	if err != nil || len(frozen) == 0 {
		return lab.Stack{}, usage("run %s has not begun yet", info.ID)
	}
	data, err := os.ReadFile(frozen[len(frozen)-1]) // stacks are the same in every trial, as far as names go
	if err != nil {
		return lab.Stack{}, fmt.Errorf("cannot read the lab of run %s: %v", info.ID, err)
	}
	l, err := w.thaw(data)
	if err != nil {
		return lab.Stack{}, err
	}
	var known []string
	for _, s := range l.Stacks {
		if s.Name == name {
			return s, nil
		}
		known = append(known, s.Name)
	}
	return lab.Stack{}, usage("there is no stack %q in this lab: it has %s", name, strings.Join(known, ", "))
}
