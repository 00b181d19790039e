package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/faults"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/ledger"
	"github.com/saigen-lab/saigen/stack"
)

// The lab that everything is measured with, and the name under which its machines are saved.
const (
	labDir   = "labs/stale-dns"
	variant  = "debian:bookworm trigger:port_taken"
	theLab   = labDir + " " + variant
	benchLab = "bench"
)

// lab is the one that everything is measured with, as the drivers get it.
func (w *work) lab() (*lab.Lab, error) {
	f, diags := labfile.Load(filepath.Join(w.repository, labDir, labfile.FileName),
		labfile.Kinds{Faults: faults.Kinds(), Assertions: assertions.Kinds()}, stack.Read)
	if diags.HasErrors() {
		return nil, diags
	}
	i := slices.IndexFunc(f.Variants(), func(v lab.Variant) bool { return v.String() == variant })
	if i < 0 {
		return nil, fmt.Errorf("%s has no variant %s", labDir, variant)
	}
	l := *f.Lab(f.Variants()[i])
	l.Name = benchLab
	return &l, nil
}

// alone is the lab's machine with nothing on it.
func alone(l *lab.Lab) *lab.Lab {
	bare := *l
	bare.Stacks, bare.Machines = nil, []lab.Machine{{Name: "server", Image: l.Machines[0].Image}}
	return &bare
}

// places are the folders that a driver works in, and the ledgers of its runs.
type places struct {
	root    string
	undoers []ledger.Option
	ledgers map[lab.RunID]*ledger.Ledger
}

func (w *work) places(undoers ...ledger.Option) *places {
	return &places{root: w.dir, undoers: undoers, ledgers: map[lab.RunID]*ledger.Ledger{}}
}

func (p *places) runtime() string             { return filepath.Join(p.root, "r") }
func (p *places) scratch(id lab.RunID) string { return filepath.Join(p.root, "s", string(id)) }
func (p *places) folder(id lab.RunID) string  { return filepath.Join(p.root, "l", string(id)) }

func (p *places) ledger(id lab.RunID) (*ledger.Ledger, error) {
	if l := p.ledgers[id]; l != nil {
		return l, nil
	}
	for _, dir := range []string{p.folder(id), p.scratch(id)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	l, err := ledger.Open(p.folder(id), id, p.undoers...)
	if err == nil {
		p.ledgers[id] = l
	}
	return l, err
}

// close lets go of the ledgers, which the driver has undone.
func (p *places) close() {
	for _, l := range p.ledgers {
		_ = l.Close()
	}
}

// command runs a command in a machine that must succeed.
func command(ctx context.Context, m lab.Running, argv ...string) error {
	cmd := lab.Command{Argv: argv}
	res, err := m.Run(ctx, cmd)
	if err != nil {
		return err
	}
	return res.Err(cmd)
}
