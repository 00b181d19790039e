package image

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The kinds of entries. Snapshots are made by a driver, through Make.
const (
	KindImage    = "images"
	KindStore    = "stores"
	KindKernel   = kernelsKind
	KindDisk     = disksKind
	KindBox      = boxesKind
	KindTarballs = "tarballs"
	KindGo       = "go" // modules, and the standard library
	KindSnapshot = "snapshots"
)

var kinds = []string{KindImage, KindStore, KindKernel, KindDisk, KindBox, KindTarballs, KindGo, KindSnapshot}

// Entry is one folder of the cache.
type Entry struct {
	Kind  string // "images", "stores", "kernels", "disks", "boxes", "tarballs", "go" or "snapshots"
	Hash  string
	Dir   string
	Name  string // what it is, for people; may be empty
	Bytes int64  // what it occupies: files are sparse
	Made  time.Time
	Used  time.Time // last
	InUse bool      // by a running saigen, perhaps this one
}

// nameName holds an entry's name where no other file has it.
const nameName = "name"

// Make returns the folder of an entry that another room fills, and says whether it was made now. Where it is missing, fill
// is called with a temporary folder beside it, which is renamed when fill returns nil: paths in its files must not
// contain the folder. Only one process makes an entry, the others wait; what a killed one left is removed by the next.
// The entry is in use until Close or Drop: it is not pruned. name is what it is called in lists.
func (c *Cache) Make(ctx context.Context, kind, hash, name string, say Say, fill func(tmp string) error) (dir string, made bool, err error) {
	dir, made, err = c.entry(ctx, kind, hash, name, say, func(tmp string, _ io.Writer) error {
		return errors.Join(writeName(tmp, name), fill(tmp))
	})
	if err != nil {
		return "", false, err
	}
	return dir, made, ignoreMissing(os.Remove(filepath.Join(dir, logName))) // it is empty
}

// Find returns the folder of an entry, which is in use until Close or Drop. Where there is none, the error is
// os.ErrNotExist. It waits while another process makes it or removes it.
func (c *Cache) Find(ctx context.Context, kind, hash string) (dir string, err error) {
	dir, err = c.use(ctx, kind, hash, func() {})
	if err == nil && dir == "" {
		err = os.ErrNotExist
	}
	return dir, err
}

// Drop says that this process does not use the entry any more.
func (c *Cache) Drop(kind, hash string) { c.letGo(filepath.Join(c.dir, kind, hash)) }

// Remove removes an entry that is of no use, and which this process alone may still use. It returns false when another
// process uses it.
func (c *Cache) Remove(ctx context.Context, kind, hash string) (bool, error) {
	c.Drop(kind, hash)
	return c.remove(ctx, filepath.Join(c.dir, kind, hash))
}

// remove removes an entry and what killed builds of it left, unless somebody uses or makes it.
func (c *Cache) remove(ctx context.Context, dir string) (bool, error) {
	l, err := tryLock(dir+".lock", unix.LOCK_EX)
	if l == nil {
		return false, err
	}
	defer func() { _ = l.Close() }()
	if err := c.sweep(ctx, dir); err != nil {
		return false, err
	}
	// First by another name, at once: an entry is whole or it is not there.
	gone := dir + ".tmp-removed"
	if err := os.Rename(dir, gone); ignoreMissing(err) != nil {
		return false, err
	}
	return true, errors.Join(removeAll(ctx, gone), os.Remove(l.Name()))
}

// List returns what is in the cache, by kind and then by hash. Folders of builds that were killed are not part of it.
func (c *Cache) List() ([]Entry, error) {
	var all []Entry
	for _, kind := range kinds {
		dirs, err := os.ReadDir(filepath.Join(c.dir, kind))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, d := range dirs {
			if !d.IsDir() || filepath.Ext(d.Name()) != "" {
				continue
			}
			e := Entry{Kind: kind, Hash: d.Name(), Dir: filepath.Join(c.dir, kind, d.Name())}
			if err := e.read(); errors.Is(err, os.ErrNotExist) {
				continue // somebody has removed it
			} else if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
	}
	return all, nil
}

// read fills in what the folder says.
func (e *Entry) read() error {
	at, err := os.Stat(e.Dir)
	if err != nil {
		return err
	}
	e.Made, e.Used = at.ModTime(), at.ModTime()
	if used, err := os.Stat(e.Dir + ".lock"); err == nil {
		e.Used = used.ModTime()
		l, err := tryLock(e.Dir+".lock", unix.LOCK_EX)
		if err != nil {
			return err
		}
		if e.InUse = l == nil; l != nil {
			_ = l.Close()
		}
	}
	e.Name = entryName(e.Dir)
	e.Bytes, err = diskUse(e.Dir)
	return err
}

func writeName(dir, name string) error {
	return os.WriteFile(filepath.Join(dir, nameName), []byte(name+"\n"), 0o644)
}

// entryName is what the files of an entry call it.
func entryName(dir string) string {
	if in, err := readInfo(dir); err == nil {
		return in.Image.Name
	}
	if name, err := os.ReadFile(filepath.Join(dir, nameName)); err == nil {
		return strings.TrimSpace(string(name))
	}
	return ""
}

// Prune removes entries, the least recently used first, until those that are left occupy no more than limit bytes, and
// returns what it removed. What a running saigen uses or makes stays. What killed builds have left goes in any case.
func (c *Cache) Prune(ctx context.Context, limit int64) ([]Entry, error) {
	if err := c.sweepAll(ctx); err != nil {
		return nil, err
	}
	all, err := c.List()
	if err != nil {
		return nil, err
	}
	var sum int64
	for _, e := range all {
		sum += e.Bytes
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return cmp.Compare(a.Used.UnixNano(), b.Used.UnixNano()) })
	var removed []Entry
	for _, e := range all {
		if sum <= limit {
			break
		}
		ok, err := c.remove(ctx, e.Dir)
		if err != nil {
			return removed, err
		}
		if ok {
			removed = append(removed, e)
			sum -= e.Bytes
		}
	}
	return removed, nil
}

// sweepAll removes what killed builds have left, where nobody is building now.
func (c *Cache) sweepAll(ctx context.Context) error {
	for _, kind := range kinds {
		old, err := filepath.Glob(filepath.Join(c.dir, kind, "*.tmp-*"))
		if err != nil {
			return err
		}
		for _, o := range old {
			hash, _, _ := strings.Cut(filepath.Base(o), ".tmp-")
			dir := filepath.Join(c.dir, kind, hash)
			l, err := tryLock(dir+".lock", unix.LOCK_EX)
			if err != nil {
				return err
			}
			if l == nil {
				continue
			}
			if err := errors.Join(c.sweep(ctx, dir), l.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// diskUse is what the files of a folder occupy, in bytes: blocks, since files are sparse. What is removed meanwhile does
// not count.
func diskUse(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(name, &st)
		}
		if err != nil {
			return ignoreMissing(err)
		}
		sum += st.Blocks * 512
		return nil
	})
	return sum, err
}
