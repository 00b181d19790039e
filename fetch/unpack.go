package fetch

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxName and maxDepth bound one entry's name in bytes and folders, since every folder in it is made.
const (
	maxName  = 1024
	maxDepth = 32
)

// unpack makes the folder dst of an archive.
func (f *Fetcher) unpack(ctx context.Context, format, archive, dst string) error {
	if format == formatZip {
		return f.unzip(ctx, archive, dst)
	}
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // opened for reading only
	var stream io.Reader = file
	if format == formatTgz {
		if stream, err = gzip.NewReader(file); err != nil {
			return fmt.Errorf("it is not a %s archive: %w", format, err)
		}
	}
	return f.untar(ctx, stream, dst)
}

// untar makes the folder dst of a tar stream, of which it reads no more than is allowed.
func (f *Fetcher) untar(ctx context.Context, stream io.Reader, dst string) error {
	t, err := newTree(dst, f.limit)
	if err != nil {
		return err
	}
	defer t.close()
	// The whole stream is bounded and not only the files in it: headers can be made to expand without end as well.
	r := tar.NewReader(&boundedReader{ctx: ctx, r: stream, left: f.limit.unpacked, limit: f.limit.unpacked})
	for {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return t.complete()
		case err != nil:
			return fmt.Errorf("cannot unpack it: %w", err)
		case h.Typeflag == tar.TypeXGlobalHeader: // a comment; git archive writes one
			continue
		case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir:
			return notPlain(h.Name)
		}
		if err := t.add(h.Name, h.FileInfo().Mode(), r); err != nil {
			return err
		}
	}
}

func (f *Fetcher) unzip(ctx context.Context, archive, dst string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("it is not a zip archive: %w", err)
	}
	defer func() { _ = r.Close() }() // opened for reading only
	t, err := newTree(dst, f.limit)
	if err != nil {
		return err
	}
	defer t.close()
	left := f.limit.unpacked
	for _, e := range r.File {
		mode := e.Mode()
		if !mode.IsRegular() && !mode.IsDir() {
			return notPlain(e.Name)
		}
		content, err := e.Open()
		if err != nil {
			return fmt.Errorf("cannot unpack %q: %w", e.Name, err)
		}
		b := &boundedReader{ctx: ctx, r: content, left: left, limit: f.limit.unpacked}
		err = t.add(e.Name, mode, b)
		_ = content.Close() // opened for reading only
		if err != nil {
			return err
		}
		left = b.left
	}
	return t.complete()
}

func notPlain(name string) error {
	return fmt.Errorf("the entry %q is neither a file nor a folder: links and devices are not taken", name)
}

// tree is a folder that is being filled with untrusted entries.
type tree struct {
	root    *os.Root
	entries int
	limit   limits
}

func newTree(dst string, limit limits) (*tree, error) {
	if err := os.Mkdir(dst, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dst)
	if err != nil {
		return nil, err
	}
	return &tree{root: root, limit: limit}, nil
}

func (t *tree) close() { _ = t.root.Close() } // the folder, not what was written

// complete says what is wrong with the tree as a whole.
func (t *tree) complete() error {
	if t.entries == 0 {
		return errors.New("the archive is empty")
	}
	return nil
}

// add makes one entry with the content of r. Of the mode only whether it is a folder or can be executed is kept.
func (t *tree) add(name string, mode fs.FileMode, r io.Reader) error {
	clean := path.Clean(strings.TrimSuffix(name, "/"))
	switch {
	case !filepath.IsLocal(clean):
		return fmt.Errorf("the entry %q leads out of the archive", name)
	case len(clean) > maxName || strings.Count(clean, "/") >= maxDepth:
		return fmt.Errorf("an entry's name is longer than %d bytes or deeper than %d folders", maxName, maxDepth)
	}
	if t.entries++; t.entries > t.limit.entries {
		return fmt.Errorf("the archive holds more than %d files and folders", t.limit.entries)
	}
	if mode.IsDir() {
		return t.made(name, t.root.MkdirAll(clean, 0o755))
	}
	if err := t.root.MkdirAll(path.Dir(clean), 0o755); err != nil {
		return t.made(name, err)
	}
	perm := fs.FileMode(0o644)
	if mode&0o111 != 0 {
		perm = 0o755
	}
	// O_EXCL: of two files with one name, which one counts would depend on who reads the archive.
	file, err := t.root.OpenFile(clean, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return t.made(name, err)
	}
	_, err = io.Copy(file, r)
	return t.made(name, errors.Join(err, file.Close()))
}

// made says which entry could not be made.
func (t *tree) made(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("the archive holds %q twice", name)
	case err != nil:
		return fmt.Errorf("cannot unpack %q: %w", name, err)
	}
	return nil
}

// boundedReader ends with an error when more than left bytes come, or when ctx ends.
type boundedReader struct {
	ctx         context.Context
	r           io.Reader
	left, limit int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("it is larger than %d MiB when unpacked", b.limit>>20)
	}
	return n, err
}
