package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/runner"
)

func (w *world) watchCommand() *cobra.Command {
	f := runFlags{repeat: 1, parallel: 1, keep: string(runner.KeepNever)}
	c := &cobra.Command{
		Use:   "watch LAB [AXIS:VALUE|!AXIS:VALUE ...]",
		Short: "Run a lab again whenever it is edited, as far as it changed",
		Long: `Run the variants of a lab, and again those that an edit of the lab's folder, or of what it includes, has changed.
Where only limits changed, what was observed last is judged with them at once, before the variant runs again. Where
the driver has snapshots, a run starts from one unless machines, accounts or stacks changed. A mistake in the lab is
shown, and the watch goes on. What is edited while a run is under way is looked at after it. ^C ends it.`,
		Example: "  saigen watch labs/stale-dns debian:bookworm trigger:port_taken",
		RunE: func(cmd *cobra.Command, args []string) error {
			dirs, filters := splitFilters(args)
			if i := slices.IndexFunc(dirs, isAddress); i >= 0 {
				return &exitError{
					code: runner.ExitUsage, err: fmt.Errorf("cannot watch %s: what was fetched is never edited", dirs[i]),
					hint: "Copy the lab into a folder of your own, and watch that one; saigen run takes the address.",
				}
			}
			m, err := w.oneLab(cmd.Context(), dirs, "watched")
			if err != nil {
				return err
			}
			return w.watch(cmd.Context(), m.path, filters, f)
		},
		ValidArgsFunction: w.completeLabsAndFilters,
	}
	w.driverFlag(c, &f)
	w.outputFlags(c, &f)
	return c
}

// watched is a lab that is run again when it changes.
type watched struct {
	w       *world
	path    string // of the lab file
	filters []string
	flags   runFlags
	news    *fsnotify.Watcher
	folders []string       // that its files are below
	last    map[string]ran // by variant
}

// ran is what a variant was when it was run last.
type ran struct {
	l     *lab.Lab
	files string // hash
	run   lab.RunID
}

// settle is how long nothing must change before an edit is over: an editor writes, renames and removes.
const settle = 150 * time.Millisecond

func (w *world) watch(ctx context.Context, path string, filters []string, f runFlags) error {
	news, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch %s: %v", path, err)
	}
	defer news.Close()
	x := &watched{w: w, path: path, filters: filters, flags: f, news: news, folders: []string{filepath.Dir(path)}, last: map[string]ran{}}
	seen := ""
	for {
		now, err := x.digest()
		if err != nil {
			return fmt.Errorf("cannot watch %s: %v", path, err)
		}
		if now != seen {
			seen = now
			w.watches.Store(false)
			if err := x.look(ctx); err != nil && ctx.Err() == nil {
				w.fail(err)
			}
			if ctx.Err() != nil {
				return &exitError{code: runner.ExitInterrupted}
			}
			w.watches.Store(true)
			fmt.Fprintf(w.stderr, "\nwatching %s; ^C ends\n", filepath.Dir(path))
		}
		if !edited(ctx, news) {
			return nil
		}
	}
}

// edited waits until something was edited, and is over; false: ctx has ended.
func edited(ctx context.Context, news *fsnotify.Watcher) bool {
	var over <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return false
		case <-news.Events:
			over = time.After(settle)
		case err := <-news.Errors:
			if err != nil { // it has missed some
				over = time.After(settle)
			}
		case <-over:
			return true
		}
	}
}

// digest is the state of all files that the lab is made of. Their folders are watched from before they are read.
func (x *watched) digest() (string, error) {
	h := sha256.New()
	for _, folder := range x.folders {
		if err := walk(folder, x.news, func(path string) error { return hash(h, path) }); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// walk calls do with the files below a folder that people write: not those that saigen and editors leave there. news, where
// given, watches the folders.
func walk(folder string, news *fsnotify.Watcher, do func(path string) error) error {
	return filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // an editor's file that has gone
			return nil
		case err != nil:
			return err
		case path != folder && (strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || name == image.LockName):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir() && news != nil:
			return news.Add(path)
		case !d.Type().IsRegular():
			return nil
		}
		return do(path)
	})
}

func hash(h io.Writer, path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	fmt.Fprintf(h, "%s %d\n", path, len(data))
	_, _ = h.Write(data)
	return err
}

// look reads the lab and runs what changed.
func (x *watched) look(ctx context.Context) error {
	file, labs, err := x.w.pick(ctx, meant{path: x.path}, x.filters)
	if err != nil {
		return err
	}
	x.folders = []string{file.Dir}
	for _, l := range labs {
		if l.Dir != file.Dir && !slices.Contains(x.folders, l.Dir) {
			x.folders = append(x.folders, l.Dir) // there is what it includes from beside its own folder
			if err := walk(l.Dir, x.news, func(string) error { return nil }); err != nil {
				return err
			}
		}
	}
	files, err := x.files(file, labs)
	if err != nil {
		return err
	}
	var changed []*lab.Lab
	judge := map[lab.RunID]bool{}
	for _, l := range labs {
		was, before := x.last[l.Variant.String()]
		switch {
		case before && was.files == files && sameLab(was.l, l):
			continue
		case before && was.files == files && len(runner.Differs(was.l, l)) == 0:
			judge[was.run] = true
		}
		changed = append(changed, l)
	}
	if len(changed) == 0 {
		return nil
	}
	for run := range judge { // what comes of it is printed, and the run that follows says the last word
		if err := x.w.judge(ctx, []string{string(run)}, judgeFlags{lab: x.path}); err != nil {
			x.w.fail(err)
		}
	}
	on, err := x.w.pickDriver(ctx, changed, x.flags.driver)
	if err != nil {
		return err
	}
	summary, err := x.w.runLab(ctx, meant{path: x.path}, file, on, changed, x.flags)
	if err != nil {
		return err
	}
	for _, o := range summary.Outcomes { // those of a run that was broken off are missing
		if i := slices.IndexFunc(changed, func(l *lab.Lab) bool { return slices.Equal(l.Variant, o.Variant) }); i >= 0 {
			x.last[o.Variant.String()] = ran{changed[i], files, summary.Run}
		}
	}
	return nil
}

// files is the hash of all files of the lab but those that it is read from, and its story.
func (x *watched) files(file *labfile.File, labs []*lab.Lab) (string, error) {
	story := filepath.Join(labs[0].Dir, string(labs[0].Story))
	from := map[string]bool{file.Dir: true}
	for _, l := range labs {
		for _, p := range pathsOf(l) {
			if at := filepath.Join(l.Dir, string(p)); !strings.HasPrefix(at, file.Dir+string(filepath.Separator)) {
				from[at] = true
			}
		}
	}
	var sorted []string
	for folder := range from {
		sorted = append(sorted, folder)
	}
	slices.Sort(sorted)
	h := sha256.New()
	for _, folder := range sorted {
		err := walk(folder, nil, func(path string) error {
			if filepath.Ext(path) == ".hcl" || path == story {
				return nil
			}
			return hash(h, path)
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func sameLab(a, b *lab.Lab) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && string(x) == string(y)
}
