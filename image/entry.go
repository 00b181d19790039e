package image

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// An entry is a folder <kind>/<hash> of the cache, beside which lies <hash>.lock. Whoever makes or removes the entry holds
// the lock alone; whoever uses it shares the lock. Locks end with the process that holds them. The time of the lock's file
// is when the entry was used last.

// entry returns the folder kind/hash of the cache; where it is missing, it is made by calling fill with a temporary
// folder beside it, renamed when complete. Whoever makes it holds a lock that ends with the process: what a killed
// build left is a temporary folder, removed by the next one. The log of a build that failed stays as <hash>.log.
// The entry is in use until Close, and is not pruned before.
func (c *Cache) entry(ctx context.Context, kind, hash, what string, say Say, fill func(tmp string, log io.Writer) error) (dir string, made bool, err error) {
	waiting := func() { say("%s: waiting for another saigen that is making it", what) }
	for {
		if dir, err = c.use(ctx, kind, hash, waiting); err != nil || dir != "" {
			return dir, made, err
		}
		if made, err = c.make(ctx, kind, hash, waiting, fill); err != nil {
			return "", false, err
		}
	}
}

// use returns the folder of an entry and keeps it from being pruned; "" when there is none.
func (c *Cache) use(ctx context.Context, kind, hash string, waiting func()) (string, error) {
	dir := filepath.Join(c.dir, kind, hash)
	if _, err := os.Stat(dir); err != nil {
		return "", ignoreMissing(err)
	}
	if ok, err := c.using(dir); ok || err != nil {
		return dir, err
	}
	l, err := lockFile(ctx, dir+".lock", unix.LOCK_SH, waiting, func() bool { return false })
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err != nil {
		return "", errors.Join(ignoreMissing(err), l.Close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if held := c.held[dir]; held != nil { // another goroutine was faster
		return dir, errors.Join(l.Close(), held.touch())
	}
	if c.held == nil {
		c.held = map[string]*lock{}
	}
	c.held[dir] = l
	return dir, l.touch()
}

// using says whether this process uses the entry already, and that it does so again.
func (c *Cache) using(dir string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.held[dir]
	if l == nil {
		return false, nil
	}
	if !l.guards() { // somebody has emptied the cache by hand
		delete(c.held, dir)
		return false, l.Close()
	}
	return true, l.touch()
}

// make makes an entry, unless another process has made it meanwhile.
func (c *Cache) make(ctx context.Context, kind, hash string, waiting func(), fill func(tmp string, log io.Writer) error) (made bool, err error) {
	dir := filepath.Join(c.dir, kind, hash)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return false, err
	}
	c.letGo(dir) // where somebody has removed the folder of an entry that was in use
	there := func() bool { _, err := os.Stat(dir); return err == nil }
	l, err := lockFile(ctx, dir+".lock", unix.LOCK_EX, waiting, there)
	if l == nil {
		return false, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if there() {
		return false, nil
	}
	if err := c.sweep(ctx, dir); err != nil {
		return false, err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), hash+".tmp-")
	if err != nil {
		return false, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeAll(context.WithoutCancel(ctx), tmp))
		}
	}()
	if err := os.Chmod(tmp, 0o755); err != nil {
		return false, err
	}
	if err := c.fill(tmp, c.failedLog(kind, hash), fill); err != nil {
		return false, err
	}
	return true, os.Rename(tmp, dir)
}

// sweep removes what killed builds of an entry left; its lock is held.
func (c *Cache) sweep(ctx context.Context, dir string) error {
	old, err := filepath.Glob(dir + ".tmp-*")
	if err != nil {
		return err
	}
	for _, o := range old {
		c.log.Info("removing what a killed build left", "folder", o)
		if err := removeAll(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// Path is the folder of an entry, whether or not it is there.
func (c *Cache) Path(kind, hash string) string { return filepath.Join(c.dir, kind, hash) }

// letGo gives up the use of an entry.
func (c *Cache) letGo(dir string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.held[dir]; l != nil {
		_ = l.Close()
		delete(c.held, dir)
	}
}

// Close gives up the use of every entry that this cache has returned: they may be pruned now. The end of the process
// does the same.
func (c *Cache) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all error
	for dir, l := range c.held {
		all = errors.Join(all, l.Close())
		delete(c.held, dir)
	}
	return all
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
	if st, statErr := os.Stat(name); statErr == nil && st.Size() == 0 {
		return err
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
