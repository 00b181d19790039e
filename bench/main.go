package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/container"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
)

// The program is saigen too where drivers need it: the agent in their machines, and the first process of their engine.
func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "guest":
			os.Exit(guest.Main(os.Args[2:], assertions.Kinds()))
		case "engine":
			os.Exit(container.EngineMain(os.Args[2:]))
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", explain(err))
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	only    string
	repeat  int
	quick   bool
	render  bool
	saigen  string
	beside  string // internal: this is the part of a group that runs beside a libvirtd, and writes its figures there
	verbose bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.only, "only", "", "measure only these `LINES`, with commas between them")
	flags.IntVar(&o.repeat, "repeat", 5, "how many repetitions of the lab line repeat is made of")
	flags.BoolVar(&o.quick, "quick", false, "a few samples for each line, to see whether it works; write nothing")
	flags.BoolVar(&o.render, "render", false, "write docs/performance.md anew from docs/performance.json; measure nothing")
	flags.StringVar(&o.saigen, "saigen", "bin/saigen", "the `FILE` that is saigen")
	flags.StringVar(&o.beside, "beside", "", "used by bench itself")
	flags.BoolVar(&o.verbose, "v", false, "tell what drivers do")
	if err := flags.Parse(args); err != nil {
		return err
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(here, labDir)); err != nil {
		return errors.New("cannot find the labs: bench runs in the root of saigen's repository")
	}
	groups := allGroups()
	data, text := filepath.Join(here, "docs", "performance.json"), filepath.Join(here, "docs", "performance.md")
	if o.render {
		f, err := loadFigures(data)
		if err != nil {
			return err
		}
		return os.WriteFile(text, []byte(page(f, groups)), 0o644)
	}
	chosen, err := choose(groups, o.only)
	if err != nil {
		return err
	}
	before, err := loadFigures(data)
	if errors.Is(err, fs.ErrNotExist) {
		before, err = &figures{}, nil
	}
	if err != nil {
		return err
	}
	f := &figures{Machine: thisMachine(), Lines: map[string]*measured{}}
	err = measureAll(ctx, o, here, chosen, f, stderr, func() error {
		if o.beside != "" || o.quick {
			return nil
		}
		all := f.beside(before)
		if err := all.save(data); err != nil {
			return err
		}
		return os.WriteFile(text, []byte(page(all, groups)), 0o644)
	})
	if ctx.Err() != nil {
		return errors.New("interrupted; what was measured to its end is written")
	}
	if o.beside != "" {
		return errors.Join(err, f.save(o.beside))
	}
	fmt.Fprint(stdout, table(f, groups))
	return err
}

// choose finds the groups of the lines that were asked for; none named: all.
func choose(groups []group, only string) ([]group, error) {
	if only == "" {
		return groups, nil
	}
	var chosen []group
	for _, name := range strings.Split(only, ",") {
		i := slices.IndexFunc(groups, func(g group) bool {
			return g.name == name || slices.ContainsFunc(g.lines, func(l line) bool { return l.name == name })
		})
		if i < 0 {
			var names []string
			for _, l := range linesOf(groups) {
				names = append(names, l.name)
			}
			return nil, fmt.Errorf("there is no line %q; there are %s", name, strings.Join(names, ", "))
		}
		if !slices.ContainsFunc(chosen, func(g group) bool { return g.name == groups[i].name }) {
			chosen = append(chosen, groups[i])
		}
	}
	return chosen, nil
}

// work is what a group is measured with.
type work struct {
	options
	repository string
	dir        string // empty, for this group alone; short, since there will be sockets in it
	self       string // this program
	images     *image.Cache
	log        *slog.Logger
	say        func(format string, args ...any)
	figures    *figures
	wanted     func(line string) bool
}

// measureAll measures group after group, and calls done after each. What goes wrong with one does not keep the others from being measured.
func measureAll(ctx context.Context, o options, here string, groups []group, f *figures, stderr io.Writer, done func() error) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	if o.saigen, err = filepath.Abs(o.saigen); err != nil {
		return err
	}
	if _, err := os.Stat(o.saigen); err != nil {
		return fmt.Errorf("cannot find saigen: %w; make build makes it", err)
	}
	log := slog.New(slog.DiscardHandler)
	if o.verbose {
		log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	images := image.New(filepath.Join(user, "saigen"), log)
	defer func() { _ = images.Close() }()
	before, err := images.List()
	if err != nil {
		return err
	}
	var errs []error
	for _, g := range groups {
		began, on := time.Now(), now(here)
		for _, l := range g.lines {
			f.Lines[l.name] = &measured{}
		}
		say := func(format string, args ...any) {
			fmt.Fprintf(stderr, "%6.1f s  %s: %s\n", time.Since(began).Seconds(), g.name, fmt.Sprintf(format, args...))
		}
		w := &work{
			options: o, repository: here, self: self, images: images, log: log, say: say, figures: f,
			wanted: func(name string) bool { return wanted(o.only, g.name, name) },
		}
		if err := w.measure(ctx, g); err != nil {
			say("cannot be measured: %s", explain(err))
			errs = append(errs, fmt.Errorf("%s could not be measured", g.name))
		}
		if ctx.Err() != nil {
			break
		}
		for _, l := range g.lines {
			if m := f.Lines[l.name]; m != nil && w.wanted(l.name) {
				m.On = on
				m.On.Took = time.Since(began).Round(time.Second).String()
			} else {
				delete(f.Lines, l.name)
			}
		}
		errs = append(errs, done())
	}
	return errors.Join(append(errs, forget(context.WithoutCancel(ctx), images, before))...)
}

func wanted(only, group, line string) bool {
	names := strings.Split(only, ",")
	return only == "" || slices.Contains(names, group) || slices.Contains(names, line)
}

// measure measures one group in a folder of its own, which is removed.
func (w *work) measure(ctx context.Context, g group) (err error) {
	missing := func(why string) {
		for _, l := range g.lines {
			if m := w.figures.Lines[l.name]; w.wanted(l.name) && (len(m.Saigen) == 0 || len(m.Hand) == 0) {
				m.Missing = why
			}
		}
	}
	if g.lacks != nil {
		if why := g.lacks(); why != "" {
			w.say("not measured: %s", why)
			missing("not measured: " + why)
			return nil
		}
	}
	if w.dir, err = os.MkdirTemp("", "saigen-bench-"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			missing("it could not be measured")
		}
		err = errors.Join(err, os.RemoveAll(w.dir))
	}()
	w.say("begins")
	if err := g.measure(ctx, w); err != nil {
		return err
	}
	w.say("done")
	return nil
}

// lacks says which program of those that are needed this host does not have.
func lacks(programs ...string) func() string {
	return func() string {
		for _, p := range programs {
			if _, err := exec.LookPath(p); err != nil {
				return "this host has no " + filepath.Base(p)
			}
		}
		return ""
	}
}

// forget removes from the user's cache what only this program had use for: its snapshots, and the disk with its agent.
func forget(ctx context.Context, images *image.Cache, before []image.Entry) error {
	now, err := images.List()
	if err != nil {
		return err
	}
	for _, e := range now {
		ours := e.Kind == image.KindSnapshot && strings.HasPrefix(e.Name, benchLab) || e.Kind == image.KindDisk && strings.HasPrefix(e.Name, "agent's disk")
		there := slices.ContainsFunc(before, func(b image.Entry) bool { return b.Kind == e.Kind && b.Hash == e.Hash })
		if ours && !there {
			if _, err := images.Remove(ctx, e.Kind, e.Hash); err != nil {
				return err
			}
		}
	}
	return nil
}

// saigenTook and handTook add a figure to a line.
func (w *work) saigenTook(line string, v float64) {
	m := w.figures.Lines[line]
	m.Saigen = append(m.Saigen, v)
}

func (w *work) handTook(line string, v float64) {
	m := w.figures.Lines[line]
	m.Hand = append(m.Hand, v)
}

// turns has saigen and the hand take turns, n times; who begins changes, so that neither always finds what the other left.
func turns(ctx context.Context, n int, saigen, hand func(i int) error) error {
	for i := range n {
		first, second := saigen, hand
		if i%2 == 1 {
			first, second = hand, saigen
		}
		for _, f := range []func(int) error{first, second} {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// few is n, or less when it is to be quick.
func (w *work) few(n int) int {
	if w.quick {
		return min(n, 2)
	}
	return n
}

// explain says all that an error knows.
func explain(err error) string {
	var infra *lab.InfraError
	if errors.As(err, &infra) {
		return strings.TrimSpace(fmt.Sprintf("%v\n%s\n%s", err, infra.Hint, infra.Tail))
	}
	return err.Error()
}
