package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	only   string
	points int
	at     string
	render bool
	saigen string
}

// enough is how many points the sweep has unless -points says otherwise.
const enough = 220

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	flags.StringVar(&o.only, "only", "", "do only these `SCENARIOS`, with commas between them; the figures of the others stay")
	flags.IntVar(&o.points, "points", enough, "how `OFTEN` the sweep kills, over all that it kills")
	flags.StringVar(&o.at, "at", "", "kill only this `TARGET`, such as \"run on qemu\", or only at the point that a failure names, such as \"run on qemu at ledger 7\"; write nothing")
	flags.BoolVar(&o.render, "render", false, "write docs/reliability.md anew from docs/reliability.json; do nothing else")
	flags.StringVar(&o.saigen, "saigen", "bin/saigen", "the `FILE` that is saigen")
	if err := flags.Parse(args); err != nil {
		return err
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(here, examples)); err != nil {
		return errors.New("cannot find the labs: torture runs in the root of saigen's repository")
	}
	all := allScenarios()
	data, text := filepath.Join(here, "docs", "reliability.json"), filepath.Join(here, "docs", "reliability.md")
	if o.render {
		r, err := loadReport(data)
		if err != nil {
			return err
		}
		return os.WriteFile(text, []byte(page(r, all)), 0o644)
	}
	chosen, err := choose(all, o.only)
	if err != nil {
		return err
	}
	r := &report{Scenarios: map[string]*result{}}
	err = doAll(ctx, o, here, chosen, r, stderr)
	fmt.Fprint(stdout, table(r, all), "\n", outcomes(r, all), "\nWhat went wrong:\n", failures(r, all))
	if ctx.Err() != nil {
		return errors.New("interrupted; nothing is written")
	}
	if o.at != "" {
		return err
	}
	if o.only != "" {
		before, unread := loadReport(data)
		if unread != nil && !errors.Is(unread, fs.ErrNotExist) {
			return errors.Join(err, unread)
		}
		if unread == nil {
			r = before.with(r)
		}
	}
	return errors.Join(err, r.save(data), os.WriteFile(text, []byte(page(r, all)), 0o644))
}

// choose finds the scenarios that were asked for; none named: all.
func choose(all []scenario, only string) ([]scenario, error) {
	if only == "" {
		return all, nil
	}
	var chosen []scenario
	for _, name := range strings.Split(only, ",") {
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
		if i < 0 {
			var names []string
			for _, s := range all {
				names = append(names, s.name)
			}
			return nil, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(names, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// doAll does scenario after scenario. What goes wrong with one does not keep the others from being done.
func doAll(ctx context.Context, o options, here string, chosen []scenario, r *report, stderr io.Writer) (err error) {
	h, err := openHost(o, here)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close(context.WithoutCancel(ctx))) }()
	var errs []error
	for _, s := range chosen {
		began := time.Now()
		res := &result{On: thisMachine()}
		r.Scenarios[s.name] = res
		say := func(format string, args ...any) {
			fmt.Fprintf(stderr, "%6.1f s  %s: %s\n", time.Since(began).Seconds(), s.name, fmt.Sprintf(format, args...))
		}
		if s.lacks != nil {
			if why := s.lacks(); why != "" {
				say("not done: %s", why)
				res.Missing = "not done: " + why
				continue
			}
		}
		say("begins")
		one, err := h.scenario(s.name, say)
		if err == nil {
			res.Tallies, err = s.run(ctx, one)
		}
		res.Took = inSeconds(time.Since(began))
		if err != nil {
			say("cannot be done: %v", err)
			res.Missing = "it could not be done to its end"
			errs = append(errs, fmt.Errorf("%s could not be done: %w", s.name, err))
		}
		if n := len(figures(res.Tallies).failures()); n > 0 {
			errs = append(errs, fmt.Errorf("%s: saigen did not keep its promise %d times", s.name, n))
		}
		if run := h.described(); run != "" {
			errs = append(errs, res.On.describe(run))
		}
		if ctx.Err() != nil {
			break
		}
		say("done")
	}
	return errors.Join(errs...)
}
