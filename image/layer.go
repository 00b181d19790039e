package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"
)

// layer adds files to a root filesystem that is there as an archive. What the archive has already stays as it is.
type layer struct {
	f     *os.File
	w     *tar.Writer
	there map[string]*tar.Header // by path, without a slash at either end; of our own files too
}

// openLayer writes a copy of the archive base, without its end, to the file out.
func openLayer(base, out string) (l *layer, err error) {
	in, err := os.Open(base)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	l = &layer{there: map[string]*tar.Header{}}
	end, err := l.index(in)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %v", base, err)
	}
	if l.f, err = os.Create(out); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = l.f.Close()
		}
	}()
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if _, err := io.CopyN(l.f, in, end); err != nil {
		return nil, err
	}
	l.w = tar.NewWriter(l.f)
	return l, nil
}

// index notes what is in the archive, and returns where its last file ends.
func (l *layer) index(in *os.File) (end int64, err error) {
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		l.there[clean(h.Name)] = h
	}
	// The reader has stopped behind the two blocks of zeros that end an archive; it reads whole blocks only.
	const trailer = 1024
	if end, err = in.Seek(-trailer, io.SeekCurrent); err != nil {
		return 0, err
	}
	var zeros [trailer]byte
	if _, err := io.ReadFull(in, zeros[:]); err != nil {
		return 0, err
	}
	if zeros != [trailer]byte{} {
		return 0, errors.New("it has no end")
	}
	return end, nil
}

// clean is a path of an archive in its shortest form.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// file adds a file that belongs to root, and the folders that it needs.
func (l *layer) file(name string, mode, size int64, data io.Reader) error {
	if err := l.put(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size}); err != nil {
		return err
	}
	_, err := io.Copy(l.w, data)
	return err
}

// link adds a symlink.
func (l *layer) link(name, target string) error {
	return l.put(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
}

func (l *layer) put(h *tar.Header) error {
	name := clean(h.Name)
	if l.there[name] != nil {
		return fmt.Errorf("cannot put /%s into the image: it is there already", name)
	}
	if dir := path.Dir(name); dir != "." {
		if err := l.folder(dir); err != nil {
			return err
		}
	}
	l.there[name] = h
	h.Name, h.ModTime, h.Format = "./"+name, time.Unix(0, 0), tar.FormatPAX
	if h.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	return l.w.WriteHeader(h)
}

// folder adds a folder that is not there yet. A link in its path is refused: where it leads is not looked up.
func (l *layer) folder(name string) error {
	switch h := l.there[name]; {
	case h == nil:
		return l.put(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755})
	case h.Typeflag == tar.TypeSymlink:
		return fmt.Errorf("cannot put anything below /%s: in the image that is a link to %s", name, h.Linkname)
	case h.Typeflag != tar.TypeDir:
		return fmt.Errorf("cannot put anything below /%s: in the image that is a file", name)
	}
	return nil
}

// close ends the archive.
func (l *layer) close() error { return errors.Join(l.w.Close(), l.f.Close()) }
