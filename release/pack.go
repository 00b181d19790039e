package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// packed is one file of the archive.
type packed struct {
	name string // below the archive's folder
	mode int64
	body []byte
}

// archive packs files below a folder into a tar.gz. The same files give the same bytes: they are sorted, of root and of the given
// time, and nothing in it says where, by whom or when it was packed.
func archive(folder string, at time.Time, files []packed) ([]byte, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b packed) int { return strings.Compare(a.name, b.name) })
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	var made []string
	add := func(h *tar.Header, body []byte) error {
		h.ModTime, h.Format = at, tar.FormatUSTAR
		if err := t.WriteHeader(h); err != nil {
			return fmt.Errorf("cannot pack %s: %w", h.Name, err)
		}
		_, err := t.Write(body)
		return err
	}
	for _, f := range files {
		name := folder + "/" + f.name
		for i := range len(name) { // the folders above it, once
			if dir := name[:i+1]; name[i] == '/' && !slices.Contains(made, dir) {
				made = append(made, dir)
				if err := add(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}, nil); err != nil {
					return nil, err
				}
			}
		}
		if err := add(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: f.mode, Size: int64(len(f.body))}, f.body); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// sums is what sha256sum prints of a folder's files, and sha256sum -c reads.
func sums(dir string) ([]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(data), e.Name())
	}
	return b.Bytes(), nil
}

// same says what differs between two folders of files.
func same(a, b string) error {
	ours, err := sums(a)
	if err != nil {
		return err
	}
	theirs, err := sums(b)
	if err != nil {
		return err
	}
	if !bytes.Equal(ours, theirs) {
		return fmt.Errorf("two builds of the same commit differ:\n%s\n%s", ours, theirs)
	}
	return nil
}
