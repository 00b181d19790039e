package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/image"
)

// provide copies what a lab needs on a driver from the user's cache into the host's own. What is missing there is built, as
// any run of that lab would. Snapshots stay behind.
func (h *host) provide(ctx context.Context, lab, driver string) error {
	user, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	if c := os.Getenv("SAIGEN_TEST_CACHE"); c != "" {
		user = c
	}
	began := time.Now()
	got, err := h.with("XDG_CACHE_HOME="+user).whole(ctx, lab, "--driver", driver, "--fresh")
	if err != nil && !busy(h, got.run) { // what it used is there all the same
		return fmt.Errorf("cannot run %s before anything is broken: %w", filepath.Base(lab), err)
	}
	from := image.New(filepath.Join(user, "saigen"), slog.New(slog.DiscardHandler))
	defer func() { _ = from.Close() }()
	entries, err := from.List()
	if err != nil {
		return err
	}
	for _, e := range entries {
		to := filepath.Join(h.cache, "saigen", e.Kind, e.Hash)
		if _, err := os.Stat(to); err == nil || e.Used.Before(began) || e.Kind == image.KindSnapshot {
			continue
		}
		if _, err := from.Find(ctx, e.Kind, e.Hash); errors.Is(err, fs.ErrNotExist) { // another lab's, and pruned meanwhile
			continue
		} else if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		cp := exec.CommandContext(ctx, "cp", "--archive", "--reflink=auto", "--sparse=always", e.Dir, to)
		if out, err := cp.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot copy an entry of the cache: %w: %s", err, out)
		}
		if err := os.WriteFile(to+".lock", nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// sealed is what the cache held at one time.
type sealed struct {
	h     *host
	files map[string]stamp  // by path
	sums  map[string]string // SHA-256 of regular files, by path
	has   []string          // entries: "images/HASH"
}

// stamp is what changes with a file's content, and costs nothing to look at.
type stamp struct {
	inode uint64
	size  int64
	made  time.Time
	mode  fs.FileMode
}

// seal notes what every entry of the cache holds now.
func (h *host) seal() (*sealed, error) {
	s := &sealed{h: h, files: map[string]stamp{}, sums: map[string]string{}}
	var err error
	if s.has, err = h.entries(); err != nil {
		return nil, err
	}
	for _, e := range s.has {
		files, err := h.stamps(e)
		if err != nil {
			return nil, err
		}
		for path, f := range files {
			s.files[path] = f
			if !f.mode.IsRegular() {
				continue
			}
			if s.sums[path], err = sum(path); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// broken lists what is not as it was. With deep it reads every file again; otherwise it looks at sizes, times and inodes.
func (s *sealed) broken(deep bool) (bad []string, err error) {
	now := map[string]stamp{}
	for _, e := range s.has {
		files, err := s.h.stamps(e)
		if err != nil {
			return nil, err
		}
		for path, f := range files {
			now[path] = f
			if _, ok := s.files[path]; !ok {
				bad = append(bad, path+" is new in an entry that was complete")
			}
		}
	}
	for path, was := range s.files {
		switch is, ok := now[path]; {
		case !ok:
			bad = append(bad, path+" is gone")
		case is != was:
			bad = append(bad, fmt.Sprintf("%s was %v and is %v", path, was, is))
		case deep && was.mode.IsRegular():
			is, err := sum(path)
			if err != nil {
				return nil, err
			}
			if is != s.sums[path] {
				bad = append(bad, path+" has another content")
			}
		}
	}
	slices.Sort(bad)
	return bad, nil
}

// more lists entries that the cache did not have.
func (s *sealed) more() ([]string, error) {
	now, err := s.h.entries()
	return slices.DeleteFunc(now, func(e string) bool { return slices.Contains(s.has, e) }), err
}

// entries lists the cache's, without what is being made.
func (h *host) entries() ([]string, error) {
	root := filepath.Join(h.cache, "saigen")
	dirs, err := filepath.Glob(filepath.Join(root, "*", "*"))
	var all []string
	for _, d := range dirs {
		if info, err := os.Lstat(d); err == nil && info.IsDir() && filepath.Ext(d) == "" {
			all = append(all, strings.TrimPrefix(d, root+"/"))
		}
	}
	return all, err
}

// stamps looks at the files of an entry; folders have times that change when nothing does.
func (h *host) stamps(entry string) (map[string]stamp, error) {
	all := map[string]stamp{}
	err := filepath.WalkDir(filepath.Join(h.cache, "saigen", entry), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the caller misses it
		}
		if err != nil || d.IsDir() {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		all[path] = stamp{inode: st.Ino, size: st.Size, made: time.Unix(st.Mtim.Unix()), mode: d.Type()}
		return nil
	})
	return all, err
}

// sum is the SHA-256 of a file's size and of what is in it, with its places: disks and memories are mostly holes.
func sum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintln(h, info.Size())
	for at := int64(0); ; {
		from, err := f.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // there is no more
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
		if at, err = f.Seek(from, unix.SEEK_HOLE); err != nil {
			return "", err
		}
		fmt.Fprintln(h, from, at)
		if _, err := io.Copy(h, io.NewSectionReader(f, from, at-from)); err != nil {
			return "", err
		}
	}
}
