package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

// cacheSize is the limit of the cache where SAIGEN_CACHE_SIZE is not set.
const cacheSize lab.Size = "20GiB"

// cacheLimit is what the cache may occupy after a run, in bytes.
func (w *world) cacheLimit() (int64, error) {
	size := lab.Size(cmp.Or(w.env("SAIGEN_CACHE_SIZE"), string(cacheSize)))
	if err := size.Check(); err != nil {
		return 0, usage("SAIGEN_CACHE_SIZE is wrong: %v", err)
	}
	return size.Bytes(), nil
}

func (w *world) cacheCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cache",
		Short: "List, measure and prune what saigen keeps to build nothing twice",
		Long: `Images, stores, kernels, disks, boxes, npm packages and snapshots are kept, and used by every run that needs them.
After each run those that were not used for the longest time go, until what is left is within the limit:
$SAIGEN_CACHE_SIZE, or 20GiB. What a run uses, and what the machines use that were left running, stays.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(w.cacheListCommand(), w.cacheSizeCommand(), w.cachePruneCommand())
	return c
}

func (w *world) cacheListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List what is in the cache, what was used last first",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cache, all, err := w.openCache()
			if err != nil {
				return err
			}
			defer cache.Close()
			entries, err := cache.List()
			if err != nil {
				return err
			}
			slices.SortStableFunc(entries, func(a, b image.Entry) int { return b.Used.Compare(a.Used) })
			var rows []report.CacheLine
			for _, e := range entries {
				row := report.CacheLine{Kind: e.Kind, Hash: e.Hash, Name: e.Name, Bytes: e.Bytes, Used: e.Used}
				if e.InUse || slices.Contains(all, e.Kind+"/"+e.Hash) {
					row.State = "in use"
				}
				rows = append(rows, row)
			}
			report.Cache(w.stdout, w.style(w.stdout), rows)
			return nil
		},
	}
}

func (w *world) cacheSizeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "size",
		Short: "Say how much the cache occupies, and its limit",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			limit, err := w.cacheLimit()
			if err != nil {
				return err
			}
			cache, _, err := w.openCache()
			if err != nil {
				return err
			}
			defer cache.Close()
			entries, err := cache.List()
			if err != nil {
				return err
			}
			var sum int64
			var kinds []string
			of := map[string]int64{}
			for _, e := range entries {
				sum += e.Bytes
				if of[e.Kind] == 0 {
					kinds = append(kinds, e.Kind)
				}
				of[e.Kind] += e.Bytes
			}
			fmt.Fprintf(w.stdout, "%s of %s\n", report.Bytes(sum), report.Bytes(limit))
			for _, kind := range kinds {
				fmt.Fprintf(w.stdout, "  %-9s  %s\n", kind, report.Bytes(of[kind]))
			}
			return nil
		},
	}
}

func (w *world) cachePruneCommand() *cobra.Command {
	var size string
	var all bool
	c := &cobra.Command{
		Use:   "prune",
		Short: "Remove what was not used for the longest time, until the limit is kept",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			limit, err := w.cacheLimit()
			switch wrong := lab.Size(size).Check(); {
			case all && size != "":
				return usage("--all and --max-size cannot be given together")
			case all:
				limit = 0
			case size != "" && wrong != nil:
				return usage("--max-size is wrong: %v", wrong)
			case size != "":
				limit = lab.Size(size).Bytes()
			case err != nil:
				return err
			}
			cache, _, err := w.openCache()
			if err != nil {
				return err
			}
			defer cache.Close()
			removed, err := cache.Prune(cmd.Context(), limit)
			for _, e := range removed {
				fmt.Fprintln(w.stdout, "removed "+strings.TrimSpace(fmt.Sprintf("%s/%s %s", e.Kind, e.Hash[:min(12, len(e.Hash))], e.Name))+", "+report.Bytes(e.Bytes))
			}
			if err != nil {
				return stopped(cmd.Context(), err)
			}
			left, err := cache.List()
			if err != nil {
				return err
			}
			var sum int64
			for _, e := range left {
				sum += e.Bytes
			}
			fmt.Fprintf(w.stdout, "%s are left\n", report.Bytes(sum))
			return nil
		},
	}
	c.Flags().StringVar(&size, "max-size", "", "the `SIZE` that the cache may have, such as 5GiB (default: $SAIGEN_CACHE_SIZE, or 20GiB)")
	c.Flags().BoolVar(&all, "all", false, "remove everything that is not in use")
	_ = c.RegisterFlagCompletionFunc("max-size", cobra.NoFileCompletions)
	return c
}

// openCache opens the cache, and holds what the machines use that were left running: their saigen has ended, and with it
// its locks. kept names those entries. Close lets go.
func (w *world) openCache() (cache *image.Cache, kept []string, err error) {
	runs, p, err := w.storedRuns()
	if err != nil {
		return nil, nil, err
	}
	cache = image.New(p.cache, w.log)
	for _, r := range runs {
		if r.UpAs == "" || !w.isUp(r.ID) {
			continue
		}
		for _, use := range r.Uses {
			kind, hash, _ := strings.Cut(use, "/")
			switch _, err := cache.Find(context.Background(), kind, hash); {
			case err == nil:
				kept = append(kept, use)
			case !errors.Is(err, os.ErrNotExist): // somebody has emptied the cache by hand
				return nil, nil, errors.Join(err, cache.Close())
			}
		}
	}
	return cache, kept, nil
}

// inUse lists the entries of the cache that running saigens use, this one among them.
func (s *session) inUse() ([]string, error) {
	entries, err := s.images.List()
	var out []string
	for _, e := range entries {
		if e.InUse {
			out = append(out, e.Kind+"/"+e.Hash)
		}
	}
	return out, err
}

// prune keeps the cache within its limit. That it cannot be pruned is worth a warning, and no more.
func (r *activeRun) prune(ctx context.Context) {
	warn := func(err error) {
		r.sinks.tell(runner.Event{Type: runner.Warning, Text: fmt.Sprintf("cannot prune the cache: %v", err), Hint: "saigen cache list"})
	}
	cache, _, err := r.w.openCache() // which holds what stays, before this run lets go
	if err = errors.Join(err, r.images.Close()); err != nil {
		warn(err)
		return
	}
	defer cache.Close()
	removed, err := cache.Prune(ctx, r.limit)
	if err != nil {
		warn(err)
	}
	var sum int64
	for _, e := range removed {
		sum += e.Bytes
	}
	if sum > 0 {
		r.sinks.tell(runner.Event{Type: runner.Step, Text: fmt.Sprintf("removed %s from the cache, which was larger than %s", report.Bytes(sum), report.Bytes(r.limit))})
	}
}
