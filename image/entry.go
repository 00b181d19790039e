package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// entry returns the folder kind/hash of the cache; where it is missing, it is made by calling fill with a temporary
// folder beside it, renamed when complete. Whoever makes it holds a lock that ends with the process: what a killed
// build left is a temporary folder, removed by the next one. The log of a build that failed stays as <hash>.log.
func (c *Cache) entry(ctx context.Context, kind, hash, what string, say Say, fill func(tmp string, log io.Writer) error) (dir string, made bool, err error) {
	dir = filepath.Join(c.dir, kind, hash)
	if _, err := os.Stat(dir); err == nil {
		return dir, false, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", false, err
	}
	unlock, err := flock(ctx, dir+".lock", func() { say("%s: waiting for another saigen that is making it", what) })
	if err != nil {
		return "", false, err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, false, nil
	}
	old, err := filepath.Glob(dir + ".tmp-*")
	if err != nil {
		return "", false, err
	}
	for _, o := range old {
		c.log.Info("removing what a killed build left", "folder", o)
		if err := os.RemoveAll(o); err != nil {
			return "", false, err
		}
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), hash+".tmp-")
	if err != nil {
		return "", false, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", false, err
	}
	if err := c.fill(tmp, c.failedLog(kind, hash), fill); err != nil {
		return "", false, err
	}
	return dir, true, os.Rename(tmp, dir)
}

func (c *Cache) fill(tmp, failedLog string, fill func(tmp string, log io.Writer) error) error {
	name := filepath.Join(tmp, logName)
	log, err := os.Create(name)
	if err != nil {
		return err
	}
	err = fill(tmp, log)
	if closed := log.Close(); err == nil {
		err = closed
	}
	if err == nil {
		return ignoreMissing(os.Remove(failedLog))
	}
	return errors.Join(err, os.Rename(name, failedLog))
}

// failedLog is where the log of a build that failed stays.
func (c *Cache) failedLog(kind, hash string) string { return filepath.Join(c.dir, kind, hash+".log") }

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// flock waits for an exclusive lock on the file, which is made when missing, and calls waiting once if it must wait.
func flock(ctx context.Context, name string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for said := false; ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("cannot lock %s: %v", name, err)
		}
		if !said {
			waiting()
			said = true
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// Entry is one folder of the cache.
type Entry struct {
	Kind  string // "images" or "stores"
	Hash  string
	Dir   string
	Name  string // of the image, as the lab that had it built called it; empty for a store
	Bytes int64
	Made  time.Time
}

// List returns what is in the cache, images first. Folders of builds that were killed are not part of it.
func (c *Cache) List() ([]Entry, error) {
	var all []Entry
	for _, kind := range []string{"images", "stores"} {
		dirs, err := os.ReadDir(filepath.Join(c.dir, kind))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, d := range dirs {
			if !d.IsDir() || filepath.Ext(d.Name()) != "" {
				continue
			}
			e := Entry{Kind: kind, Hash: d.Name(), Dir: filepath.Join(c.dir, kind, d.Name())}
			if in, err := readInfo(e.Dir); err == nil {
				e.Name = in.Image.Name
			}
			at, err := d.Info()
			if err != nil {
				return nil, err
			}
			e.Made = at.ModTime()
			if e.Bytes, err = diskUse(e.Dir); err != nil {
				return nil, err
			}
			all = append(all, e)
		}
	}
	return all, nil
}

// diskUse is what the files of a folder occupy, in bytes.
func diskUse(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		sum += st.Blocks * 512
		return nil
	})
	return sum, err
}
