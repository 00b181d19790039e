package fetch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Fetcher fetches, and remembers what it has. It is safe for several goroutines and processes at once.
type Fetcher struct {
	// AllowLocal lets sources lie on this host, or on a link-local address. For tests.
	AllowLocal bool
	// AllowHTTP lets sources be unencrypted. For tests.
	AllowHTTP bool
	// Public keeps sources out of private networks: for what nobody of this host has named.
	Public bool
	// CA is trusted instead of the host's certificate authorities, in PEM. Empty: the host's.
	CA []byte

	dir   string // what was fetched, by its key; what is being fetched, by tmpPrefix
	log   *slog.Logger
	limit limits
	// resolve looks up a git source's host; network is "ip".
	resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// limits bound what one source may cost.
type limits struct {
	download int64         // bytes from the network
	unpacked int64         // bytes of an archive's tar stream, or of all files in a zip
	entries  int           // files and folders in an archive
	time     time.Duration // from the first look-up to the last byte
}

const tmpPrefix = "tmp-"

// New is a Fetcher that keeps what it fetched in the folder fetched of cacheDir, which is made when it is needed.
func New(cacheDir string, log *slog.Logger) *Fetcher {
	return &Fetcher{
		dir: filepath.Join(cacheDir, "fetched"), log: log, resolve: net.DefaultResolver.LookupNetIP,
		limit: limits{download: 64 << 20, unpacked: 256 << 20, entries: 10_000, time: 2 * time.Minute},
	}
}

// NewForBoxes is a Fetcher for Vagrant's boxes, each of which is a file that holds a disk.
func NewForBoxes(cacheDir string, log *slog.Logger) *Fetcher {
	f := New(cacheDir, log)
	f.limit.download, f.limit.time = 16<<30, time.Hour
	return f
}

// Get returns the path of the file or folder that source names, below the cache's folder; it is read-only by agreement.
// The sum is that of what is downloaded: for a file and for an archive "sha256:" and 64 hexadecimal digits, for git
// "commit:" and the whole commit, which may also stand in the source as ?ref=. What was fetched under the sum before is
// returned without any network, even when ctx is done. After an error nothing is left.
func (f *Fetcher) Get(ctx context.Context, source, checksum string) (string, error) {
	s, err := parse(source, checksum, f.AllowHTTP)
	if err != nil {
		return "", fmt.Errorf("cannot fetch %s: %w", source, err)
	}
	if _, err := os.Lstat(f.path(s)); errors.Is(err, fs.ErrNotExist) {
		if err := f.fill(ctx, s); err != nil {
			return "", fmt.Errorf("cannot fetch %s: %w", source, err)
		}
	}
	path, err := f.within(s)
	if err != nil {
		return "", fmt.Errorf("cannot use %s: %w", source, err)
	}
	return path, nil
}

// path is where s lies once it was fetched.
func (f *Fetcher) path(s source) string { return filepath.Join(f.dir, s.key()) }

// within is the folder of s that the source names, or s itself.
func (f *Fetcher) within(s source) (string, error) {
	if s.subdir == "" {
		return f.path(s), nil
	}
	root, err := os.OpenRoot(f.path(s))
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }() // opened for reading only
	if _, err := root.Lstat(s.subdir); err != nil {
		return "", fmt.Errorf("there is no %q in it", s.subdir)
	}
	return filepath.Join(f.path(s), s.subdir), nil
}

// fill brings s into the cache: to a temporary folder first, then whole by one rename.
func (f *Fetcher) fill(ctx context.Context, s source) error {
	return f.aside(ctx, func(ctx context.Context, tmp string) error {
		f.log.Info("fetching", "url", s.url.Redacted(), "sum", s.sum)
		made := filepath.Join(tmp, "made")
		var err error
		switch s.format {
		case formatGit:
			err = f.git(ctx, s, tmp, made)
		case formatFile:
			err = f.download(ctx, s, made)
		default:
			archive := filepath.Join(tmp, "archive")
			if err = f.download(ctx, s, archive); err == nil {
				err = f.unpack(ctx, s.format, archive, made)
			}
		}
		switch {
		case ctx.Err() != nil: // which has many faces further down
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		err = os.Rename(made, f.path(s))
		if _, there := os.Lstat(f.path(s)); err != nil && there == nil {
			return nil // another process was faster; it is the same by its sum
		}
		return err
	})
}

// aside has do work in a temporary folder, which is removed afterwards, and in the time that one source may take.
func (f *Fetcher) aside(ctx context.Context, do func(ctx context.Context, tmp string) error) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.limit.time, fmt.Errorf("it took longer than %s", f.limit.time))
	defer cancel()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	tmp, err := os.MkdirTemp(f.dir, tmpPrefix)
	if err != nil {
		return err
	}
	defer func() {
		if removed := os.RemoveAll(tmp); removed != nil {
			err = errors.Join(err, fmt.Errorf("cannot remove what is left of it: %w", removed))
		}
	}()
	return do(ctx, tmp)
}

// lock makes the folder, removes what killed processes left in it, and keeps others from removing what is being made
// until unlock is called. The lock ends with the process.
func (f *Fetcher) lock() (unlock func(), err error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.Open(f.dir)
	if err != nil {
		return nil, err
	}
	unlock = func() { _ = dir.Close() } // which ends the lock
	if unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		left, err := filepath.Glob(filepath.Join(f.dir, tmpPrefix+"*"))
		for _, path := range left {
			f.log.Info("removing what a killed fetch left", "folder", path)
			err = errors.Join(err, os.RemoveAll(path))
		}
		if err != nil {
			unlock()
			return nil, err
		}
	}
	// Only a sweep, which is short, is waited for here: those who fetch share the lock.
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		err = unix.Flock(int(dir.Fd()), unix.LOCK_SH)
	}
	if err != nil {
		unlock()
		return nil, fmt.Errorf("cannot lock %s: %w", f.dir, err)
	}
	return unlock, nil
}
