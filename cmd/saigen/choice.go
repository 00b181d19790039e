package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

// autoDriver is what --driver takes to have saigen choose.
const autoDriver = "auto"

// candidate is a driver with all that speaks against it, for some labs on this host.
type candidate struct {
	driverEntry
	needs   []lab.Need     // of the labs
	against string         // what of the labs it cannot do: "does not give own_kernel, …"; empty: nothing
	because string         // the same with the lab as the subject: "the lab needs own_kernel, which container does not give"
	looked  bool           // whether the host was looked at
	missing []report.Check // what it lacks for the driver
	// untrusted: against says that the lab was fetched
	untrusted bool
	origin    bool // against says that the machines come from Vagrant, which a person may overrule
}

func (c candidate) fits() bool { return c.against == "" && c.looked && len(c.missing) == 0 }

// weigh says what speaks against a driver, apart from the host.
func weigh(d driverEntry, labs []*lab.Lab) candidate {
	c := candidate{driverEntry: d}
	for _, l := range labs {
		c.needs = append(c.needs, l.Needs...)
		if l.Untrusted() && d.host != "" {
			c.against = "is not for a lab that was fetched: " + d.host
			c.because = fmt.Sprintf("the lab was fetched, and nobody of this host vouches for it; with %s, %s", d.name, d.host)
			c.untrusted = true
			return c
		}
		if lacks := d.lacks(l.Needs); len(lacks) > 0 {
			c.against = "does not give " + and(lacks) + ", which the lab needs"
			c.because = fmt.Sprintf("the lab needs %s, which %s does not give", and(lacks), d.name)
			return c
		}
	}
	if d.name == vagrantDriver {
		return c
	}
	for _, l := range labs {
		if l.Vagrant == nil || l.Vagrant.File == "" && l.Vagrant.Box == "" {
			continue
		}
		from := "a box"
		if l.Vagrant.File != "" {
			from = "a Vagrantfile"
		}
		c.because, c.origin = "the lab's machines come from "+from, true
		c.against = "does not make machines from " + from
		if i := slices.IndexFunc(l.Machines, func(m lab.Machine) bool { return m.Image == "" }); i >= 0 {
			c.against, c.origin = fmt.Sprintf("has nothing to make machine.%s from: it has no image, and comes from %s", l.Machines[i].Name, from), false
		}
		return c
	}
	return c
}

// vagrantDriver is the one that can take machines from where a lab's vagrant block says.
const vagrantDriver = "vagrant"

// look fills in what the host lacks for the candidates, of all at once.
func (w *world) look(ctx context.Context, p paths, all []*candidate) {
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(func() {
			c.looked = true
			rows := w.host.checks(ctx, c.driverEntry, func() []lab.Requirement { return c.requirements(w, p) })
			for _, row := range append(slices.Clone(rows), c.conditionsOf(ctx, c.needs)...) {
				if row.Err != nil {
					c.missing = append(c.missing, row)
				}
			}
		})
	}
	wg.Wait()
}

// conditionsOf looks at what else of the host a driver needs to give these needs.
func (d driverEntry) conditionsOf(ctx context.Context, needs []lab.Need) (rows []report.Check) {
	for i, n := range needs {
		if slices.Contains(needs[:i], n) {
			continue
		}
		for _, r := range d.conditions[n] {
			rows = append(rows, report.Check{Requirement: r, Err: r.Check(ctx)})
		}
	}
	return rows
}

// host is what was seen of this host: it is looked at once for each driver, however many labs are run.
type host struct {
	mu   sync.Mutex
	seen map[string]func() []report.Check // by the driver
}

// checks looks at everything that a driver needs.
func (h *host) checks(ctx context.Context, d driverEntry, needed func() []lab.Requirement) []report.Check {
	h.mu.Lock()
	if h.seen == nil {
		h.seen = map[string]func() []report.Check{}
	}
	if h.seen[d.name] == nil {
		h.seen[d.name] = sync.OnceValue(func() (rows []report.Check) {
			if d.requirements == nil {
				return nil
			}
			for _, r := range needed() {
				rows = append(rows, report.Check{Requirement: r, Err: r.Check(ctx)})
			}
			return rows
		})
	}
	look := h.seen[d.name]
	h.mu.Unlock()
	return look()
}

// chosenDriver is a driver, and why saigen chose it, for people; empty: it was asked for.
type chosenDriver struct {
	driverEntry
	why string
}

// pickDriver chooses the driver for some variants of a lab: the one that was asked for, or the cheapest that fits.
func (w *world) pickDriver(ctx context.Context, labs []*lab.Lab, asked string) (chosenDriver, error) {
	p, err := w.paths()
	if err != nil {
		return chosenDriver{}, err
	}
	if asked != autoDriver {
		c, err := w.asked(ctx, p, labs, asked)
		return chosenDriver{c.driverEntry, ""}, err
	}
	all := w.candidates(ctx, p, labs, false)
	if i := firstFit(all); i >= 0 {
		return chosenDriver{all[i].driverEntry, all[i].why(all[:i], all[i+1:])}, nil
	}
	return chosenDriver{}, w.noneFits(labs[0].Name, all)
}

// firstFit is the cheapest that fits; -1: none.
func firstFit(all []*candidate) int {
	return slices.IndexFunc(all, func(c *candidate) bool { return c.fits() })
}

// candidates weighs every driver, the cheapest first. What a slow one needs is looked at when none of the others fits, or when
// every one is asked about.
func (w *world) candidates(ctx context.Context, p paths, labs []*lab.Lab, everyOne bool) []*candidate {
	var all, quick, slow []*candidate
	for _, d := range w.drivers {
		c := weigh(d, labs)
		all = append(all, &c)
		switch {
		case c.against != "":
		case d.slow && !everyOne:
			slow = append(slow, &c)
		default:
			quick = append(quick, &c)
		}
	}
	if w.look(ctx, p, quick); firstFit(all) < 0 {
		w.look(ctx, p, slow)
	}
	return all
}

// why says in a line how it came to this driver: what speaks against those that are cheaper, and which others would do.
func (c *candidate) why(cheaper, dearer []*candidate) string {
	var reasons, others []string
	for _, o := range cheaper {
		reason := cmp.Or(o.because, o.name+" needs "+and(names(o.missing)))
		if !slices.Contains(reasons, reason) { // two may lack the same
			reasons = append(reasons, reason)
		}
	}
	for _, o := range dearer {
		if o.fits() {
			others = append(others, o.name)
		}
	}
	if len(reasons) == 0 {
		reasons = append(reasons, "the cheapest that fits")
	}
	if len(others) > 0 {
		reasons = append(reasons, and(others)+" would too")
	}
	return "driver " + c.name + ": " + strings.Join(reasons, "; ")
}

func names(missing []report.Check) []string {
	var out []string
	for _, m := range missing {
		if !slices.Contains(out, m.Requirement.Name) {
			out = append(out, m.Requirement.Name)
		}
	}
	return out
}

// asked is the driver of that name, when it can run the labs on this host.
func (w *world) asked(ctx context.Context, p paths, labs []*lab.Lab, name string) (*candidate, error) {
	d, ok := w.driverNamed(name)
	if !ok {
		return &candidate{}, usage("there is no driver %q: this saigen has %s", name, and(w.driverNames()))
	}
	c := weigh(d, labs)
	if c.against != "" && !c.origin {
		e := &exitError{
			code: runner.ExitUsage, err: fmt.Errorf("driver %s cannot run %s: it %s", name, labs[0].Name, c.against),
			hint: "Leave --driver out to let saigen choose one that can.",
		}
		if c.untrusted {
			e.hint += " A lab that you have read you may copy into a folder of your own, and run with every driver."
		}
		return &c, e
	}
	w.look(ctx, p, []*candidate{&c})
	if len(c.missing) > 0 {
		fmt.Fprintf(w.stderr, "this host lacks what a run with driver %s needs:\n", name)
		report.Doctor(w.stderr, w.style(w.stderr), c.missing)
		return &c, &exitError{code: runner.ExitUsage}
	}
	return &c, nil
}

// noneFits lists each driver with what it lacks, and the commands that help.
func (w *world) noneFits(name string, all []*candidate) error {
	fmt.Fprintf(w.stderr, "no driver can run %s on this host:\n", name)
	for _, c := range all {
		if c.against != "" {
			fmt.Fprintf(w.stderr, "\n%s %s\n", c.name, c.against)
			continue
		}
		fmt.Fprintf(w.stderr, "\n%s lacks\n", c.name)
		report.Doctor(w.stderr, w.style(w.stderr), c.missing)
	}
	return &exitError{code: runner.ExitUsage}
}

// pickDrivers are the drivers that --drivers names. With all, those that cannot run the labs here are left out, which is said.
func (w *world) pickDrivers(ctx context.Context, labs []*lab.Lab, given string) ([]chosenDriver, error) {
	asked, err := splitDrivers(given)
	if err != nil {
		return nil, err
	}
	p, err := w.paths()
	if err != nil {
		return nil, err
	}
	var out []chosenDriver
	if slices.Equal(asked, []string{allDrivers}) {
		all := w.candidates(ctx, p, labs, true)
		for _, c := range all {
			if c.fits() {
				out = append(out, chosenDriver{c.driverEntry, ""})
				continue
			}
			fmt.Fprintf(w.stderr, "without driver %s: %s\n", c.name, cmp.Or(c.because, "it needs "+and(names(c.missing))))
		}
		if len(out) == 0 {
			return nil, w.noneFits(labs[0].Name, all)
		}
		return out, nil
	}
	var wrong []error
	for _, name := range asked {
		c, err := w.asked(ctx, p, labs, name)
		if err != nil {
			wrong = append(wrong, err)
		}
		out = append(out, chosenDriver{c.driverEntry, ""})
	}
	return out, oneOf(wrong)
}

// allDrivers is what --drivers takes besides names.
const allDrivers = "all"

// splitDrivers reads what --drivers was given.
func splitDrivers(given string) ([]string, error) {
	asked := strings.Split(given, ",")
	for i, name := range asked {
		switch {
		case name == "" || name == autoDriver || name == allDrivers && len(asked) > 1:
			return nil, usage("--drivers takes the names of drivers with commas between them, or all, not %q", given)
		case slices.Contains(asked[:i], name):
			return nil, usage("--drivers names %s twice", name)
		}
	}
	return asked, nil
}

func (w *world) driverFlag(c *cobra.Command, f *runFlags) {
	c.Flags().StringVar(&f.driver, "driver", autoDriver, "the `DRIVER` that runs the machines: auto (the cheapest that fits), "+strings.Join(w.driverNames(), ", "))
	c.Flags().BoolVar(&f.fresh, "fresh", false, "start from no snapshot that an earlier run has stored")
	_ = c.RegisterFlagCompletionFunc("driver", cobra.FixedCompletions(append([]string{autoDriver}, w.driverNames()...), cobra.ShellCompDirectiveNoFileComp))
}

// completeDrivers completes the last of several names.
func (w *world) completeDrivers(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	before := typed[:strings.LastIndex(typed, ",")+1]
	var out []string
	if before == "" {
		out = append(out, allDrivers)
	}
	for _, name := range w.driverNames() {
		if !slices.Contains(strings.Split(before, ","), name) {
			out = append(out, before+name)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
