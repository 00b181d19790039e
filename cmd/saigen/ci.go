package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

// ciFlags are what a CI job wants of run.
type ciFlags struct {
	junit    string
	markdown string
	shard    string
}

func (f *ciFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.junit, "junit", "", "write a JUnit report to `FILE`")
	c.Flags().StringVar(&f.markdown, "markdown", "", "write a summary in Markdown to `FILE`")
	c.Flags().StringVar(&f.shard, "shard", "", "run only the `PART` i/n of the variants: 2/5 is the second of five parts")
}

// ciReport is what a CI job finds after the run: files that are opened before hours of work, not after them.
type ciReport struct {
	w        *world
	junit    *os.File
	markdown []*os.File
	labs     map[string]map[string]*lab.Lab // by the name of the lab and the variant
	wrong    []report.Mistake               // why labs cannot be run; nothing is, then
}

func (w *world) openCI(f ciFlags) (*ciReport, error) {
	r := &ciReport{w: w, labs: map[string]map[string]*lab.Lab{}}
	var err error
	if f.junit != "" {
		if r.junit, err = os.Create(f.junit); err != nil {
			return nil, usage("cannot write the JUnit report: %v", err)
		}
	}
	open := func(path string, flags int) error {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flags, 0o644)
		if err != nil {
			return usage("cannot write the summary in Markdown: %v", err)
		}
		r.markdown = append(r.markdown, file)
		return nil
	}
	if f.markdown != "" {
		err = open(f.markdown, os.O_TRUNC)
	}
	if page := w.env("GITHUB_STEP_SUMMARY"); page != "" && err == nil {
		err = open(page, os.O_APPEND) // it is the page of all steps
	}
	return r, err
}

// planned remembers where in a lab file to point at.
func (r *ciReport) planned(labs []*lab.Lab) {
	for _, l := range labs {
		if r.labs[l.Name] == nil {
			r.labs[l.Name] = map[string]*lab.Lab{}
		}
		r.labs[l.Name][l.Variant.String()] = l
	}
}

// mistaken remembers why a lab cannot be run.
func (r *ciReport) mistaken(folder string, err error) {
	text := err.Error()
	if e := (*exitError)(nil); errors.As(err, &e) && e.err == nil {
		text = cmp.Or(e.said, "it cannot be run here: saigen doctor says what is missing")
	}
	r.wrong = append(r.wrong, report.Mistake{Lab: folder, Text: text})
}

// write tells what the runs came to, or why there were none.
func (r *ciReport) write(summaries []*runner.Summary) error {
	var errs []error
	if r.junit != nil {
		errs = append(errs, report.JUnit(r.junit, storedEvents, r.wrong, summaries...), r.junit.Close())
	}
	for _, f := range r.markdown {
		errs = append(errs, report.Markdown(f, r.wrong, summaries...), f.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return usage("cannot write the report: %v", err)
	}
	if r.w.env("GITHUB_ACTIONS") == "true" {
		here, _ := os.Getwd() // without it paths stay absolute
		for _, s := range summaries {
			for _, v := range s.Variants {
				if l := r.labs[s.Lab][v.Variant.String()]; l != nil {
					report.Annotate(r.w.stderr, here, l, s, v) // not stdout, which may be JSON
				}
			}
		}
	}
	return nil
}

// storedEvents are the events of one trial, from its run's folder.
func storedEvents(o *runner.Outcome) []runner.Event {
	f, err := os.Open(filepath.Join(filepath.Dir(o.Folder), runner.EventsFile))
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []runner.Event
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e runner.Event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		if e.Variant == o.Variant.String() && (e.Trial == o.Trial || e.Trial == 0) && e.Type != runner.RunEnded {
			out = append(out, e)
		}
	}
	if err := lines.Err(); err != nil {
		out = append(out, runner.Event{Type: runner.Warning, Text: fmt.Sprintf("cannot read the events: %v", err)})
	}
	return out
}
