package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// put writes a file whole or not at all: into a file beside it, which then takes its name. Missing folders are made with
// the same owner and mode 0755.
func put(r *frameReader, q putRequest) error {
	if !filepath.IsAbs(q.Path) {
		return fmt.Errorf("path %q is not absolute", q.Path)
	}
	uid, gid := os.Getuid(), os.Getgid()
	if q.Owner != "" {
		u, err := lookupAccount(q.Owner)
		if err != nil {
			return err
		}
		uid, gid = u.uid, u.gid
	}
	path := filepath.Clean(q.Path)
	if err := makeFolders(filepath.Dir(path), uid, gid); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".saigen-*")
	if err != nil {
		return err
	}
	done := false
	defer func() {
		_ = f.Close()
		if !done {
			_ = os.Remove(f.Name())
		}
	}()
	if err := receive(r, f); err != nil {
		return err
	}
	if err := f.Chown(uid, gid); err != nil {
		return err
	}
	if err := f.Chmod(q.Mode); err != nil { // after chown, which clears the set-id bits
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	done = true
	return nil
}

func receive(r *frameReader, f *os.File) error {
	for {
		kind, payload, err := r.next()
		if err != nil {
			return fmt.Errorf("the file was not sent whole: %w", err)
		}
		switch kind {
		case frameData:
			if _, err := f.Write(payload); err != nil {
				return err
			}
		case frameDataEnd:
			return nil
		}
	}
}

func makeFolders(dir string, uid, gid int) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := makeFolders(filepath.Dir(dir), uid, gid); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // whatever the umask is
		return err
	}
	return os.Chown(dir, uid, gid)
}
