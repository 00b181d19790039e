package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestArchive(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	files := []packed{{"b", 0o755, []byte("two")}, {"a/b/c", 0o644, []byte("one")}, {"a/d", 0o644, nil}}
	first, err := archive("x-1", at, files)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(files)
	second, err := archive("x-1", at, files)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("the order in which files are named is in the archive: %v", err)
	}
	z, err := gzip.NewReader(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if !z.ModTime.IsZero() || z.Name != "" {
		t.Errorf("gzip's header has %v and %q", z.ModTime, z.Name)
	}
	var got []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(at) || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s is of %d:%d %q:%q and %v", h.Name, h.Uid, h.Gid, h.Uname, h.Gname, h.ModTime)
		}
		got = append(got, h.Name)
	}
	if want := "x-1/ x-1/a/ x-1/a/b/ x-1/a/b/c x-1/a/d x-1/b"; strings.Join(got, " ") != want {
		t.Errorf("it has %v, want %s", got, want)
	}
}

func TestSame(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	write := func(dir, name, body string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(a, "x", "1")
	write(b, "x", "1")
	if err := same(a, b); err != nil {
		t.Error(err)
	}
	write(b, "x", "2")
	if same(a, b) == nil {
		t.Error("one byte differs, and nobody says so")
	}
	write(b, "x", "1")
	write(b, "y", "")
	if same(a, b) == nil {
		t.Error("one file more, and nobody says so")
	}
}
