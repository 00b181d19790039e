package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/container"
	"github.com/saigen-lab/saigen/fetch"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
	"github.com/saigen-lab/saigen/qemu"
	"github.com/saigen-lab/saigen/vagrant"
)

// driverEntry is one line of the table of drivers: all that the command knows of it.
type driverEntry struct {
	name         string
	offers       []lab.Need
	host         string                                    // how a hostile lab could reach this host through it: no fetched lab is run on it; empty: it could not
	conditions   map[lab.Need][]lab.Requirement            // what else of the host it takes to give a need
	requirements func(w *world, p paths) []lab.Requirement // everything that a run with it needs of the host
	slow         bool                                      // to look at them takes seconds, so that it is done when no cheaper driver fits
	new          newDriver
	// connect reaches a machine that another process has started and kept; dir is the run's runtime folder.
	connect func(ctx context.Context, dir, machine string) (lab.Running, error)
	undoers func() []ledger.Option // what its entries in a run's ledger need to be undone
	// traces lists what it has made where a look at the host alone does not find it; may be nil.
	traces func(ctx context.Context, w *world) ([]ledger.Trace, error)
}

// newDriver makes a driver for one run.
type newDriver func(w *world, s *session) (driver, error)

// driver is a lab.Driver with an end.
type driver interface {
	lab.Driver
	// Close stops what the driver needs besides machines, and undoes the run's ledger unless the run is kept.
	Close(ctx context.Context) error
}

// shippedDrivers is the table, the cheapest first.
func shippedDrivers() []driverEntry {
	return []driverEntry{
		{
			name: "container", offers: []lab.Need{lab.OwnPIDMax}, conditions: container.Conditions(),
			host: "its machines share the kernel of this host, as root",
			requirements: func(w *world, p paths) []lab.Requirement {
				return distinct(slices.Concat(image.Requirements(), container.Requirements(w.engine(), p.runs)))
			},
			new: newContainerDriver, connect: container.Connect, undoers: container.Undoers, traces: engineTraces,
		},
		{
			name: "qemu", offers: []lab.Need{lab.OwnKernel, lab.OwnPIDMax},
			requirements: func(_ *world, p paths) []lab.Requirement {
				return distinct(slices.Concat(image.Requirements(), image.DiskRequirements(), qemu.Requirements(p.runs, p.runtime)))
			},
			new: newQEMUDriver, connect: qemu.Connect, undoers: qemu.Undoers,
		},
		{
			name: vagrantDriver, offers: []lab.Need{lab.OwnKernel, lab.OwnPIDMax}, slow: true,
			host: "Vagrant and its plugins are programs of this host, and decide what its machines reach",
			requirements: func(*world, paths) []lab.Requirement {
				return distinct(slices.Concat(image.Requirements(), image.DiskRequirements(), image.BoxRequirements(), vagrant.Requirements()))
			},
			new: newVagrantDriver, connect: vagrant.Connect, undoers: vagrant.Undoers, traces: libvirtTraces,
		},
	}
}

// driverNamed finds a driver by the name that --driver takes.
func (w *world) driverNamed(name string) (driverEntry, bool) {
	i := slices.IndexFunc(w.drivers, func(d driverEntry) bool { return d.name == name })
	if i < 0 {
		return driverEntry{}, false
	}
	return w.drivers[i], true
}

func (w *world) driverNames() []string {
	var names []string
	for _, d := range w.drivers {
		names = append(names, d.name)
	}
	return names
}

// undoers are those of every driver: which one a dead run had does not matter to its ledger.
func (w *world) undoers() []ledger.Option {
	var all []ledger.Option
	for _, d := range w.drivers {
		if d.undoers != nil {
			all = append(all, d.undoers()...)
		}
	}
	return all
}

// lacks lists the needs that a driver does not give.
func (d driverEntry) lacks(needs []lab.Need) []string {
	return words(slices.DeleteFunc(slices.Clone(needs), func(n lab.Need) bool { return slices.Contains(d.offers, n) }))
}

func words(needs []lab.Need) []string {
	var out []string
	for _, n := range needs {
		out = append(out, string(n))
	}
	return out
}

// newContainerDriver wires the driver of system containers.
func newContainerDriver(w *world, s *session) (driver, error) {
	self, err := s.binary()
	if err != nil {
		return nil, fmt.Errorf("cannot copy saigen for its machines: %w", err)
	}
	return container.New(container.Options{
		Self:    self,
		Engine:  w.engine(),
		Images:  s.images,
		Runtime: s.paths.runtime,
		Scratch: func(id lab.RunID) string { return filepath.Join(s.scratch(), string(id)) },
		Ledger:  func(lab.RunID) (*ledger.Ledger, error) { return s.ledger, nil },
		Built:   s.lock.add,
		Log:     w.log,
	}), nil
}

// newQEMUDriver wires the driver of VMs with memory snapshots.
func newQEMUDriver(w *world, s *session) (driver, error) {
	self, err := s.binary()
	if err != nil {
		return nil, fmt.Errorf("cannot copy saigen for its machines: %w", err)
	}
	return qemu.New(qemu.Options{
		Self:    self,
		Images:  s.images,
		Runtime: s.paths.runtime,
		Scratch: func(id lab.RunID) string { return filepath.Join(s.scratch(), string(id)) },
		Ledger:  func(lab.RunID) (*ledger.Ledger, error) { return s.ledger, nil },
		Built:   s.lock.add,
		Log:     w.log,
	}), nil
}

// newVagrantDriver wires the driver that has Vagrant run VMs.
func newVagrantDriver(w *world, s *session) (driver, error) {
	self, err := s.binary()
	if err != nil {
		return nil, fmt.Errorf("cannot copy saigen for its machines: %w", err)
	}
	return vagrant.New(vagrant.Options{
		Self:    self,
		Images:  s.images,
		Fetch:   fetch.NewForBoxes(s.paths.cache, w.log).Get,
		Runtime: s.paths.runtime,
		Scratch: func(id lab.RunID) string { return filepath.Join(s.scratch(), string(id)) },
		Ledger:  func(lab.RunID) (*ledger.Ledger, error) { return s.ledger, nil },
		Built:   s.lock.add,
		Log:     w.log,
	}), nil
}

// engine is the address of an existing Docker or Podman that the user wants; empty: saigen's own.
func (w *world) engine() string {
	if e := w.env("SAIGEN_ENGINE"); e != "" {
		return e
	}
	return w.env("DOCKER_HOST")
}

// distinct leaves out what an earlier one asks for too.
func distinct(all []lab.Requirement) []lab.Requirement {
	var out []lab.Requirement
	for _, r := range all {
		if !slices.ContainsFunc(out, func(o lab.Requirement) bool { return o.Name == r.Name }) {
			out = append(out, r)
		}
	}
	return out
}

// and is words in a sentence: "a, b and c".
func and(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}
