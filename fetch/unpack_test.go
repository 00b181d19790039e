package fetch

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func tarOf(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		body := h.Linkname
		if h.Typeflag == tar.TypeReg {
			h.Size, h.Linkname = int64(len(body)), ""
		}
		if h.Mode == 0 && h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file is an entry of tarOf, whose Linkname carries the content.
func file(name, body string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: body}
}

func gz(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t *testing.T, entries map[string]string, change func(*zip.FileHeader)) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, body := range entries {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		if change != nil {
			change(h)
		}
		e, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(e, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func deflated(t *testing.T, data string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(w, data)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestArchives(t *testing.T) {
	entries := []tar.Header{
		{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}},
		{Typeflag: tar.TypeDir, Name: "shared/", Mode: 0o700},
		file("shared/include.hcl", "one"), file("run.sh", "two"),
	}
	entries[3].Mode = 0o4711
	plain := tarOf(t, entries...)
	zipped := zipOf(t, map[string]string{"shared/include.hcl": "one", "run.sh": "two"}, func(h *zip.FileHeader) {
		if h.Name == "run.sh" {
			h.SetMode(0o4711)
		}
	})
	for name, a := range map[string]struct {
		path, query string
		data        []byte
	}{
		"tar":    {"/x.tar", "", plain},
		"tar.gz": {"/x.tar.gz", "", gz(t, plain)},
		"tgz":    {"/x.tgz", "", gz(t, plain)},
		"zip":    {"/x.zip", "", zipped},
		"said":   {"/download", "?archive=tar.gz", gz(t, plain)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			src, sum := s.has(a.path, a.data)
			all, err := s.f.Get(t.Context(), src+a.query, sum)
			if err != nil {
				t.Fatal(err)
			}
			if got := content(t, filepath.Join(all, "shared", "include.hcl")); got != "one" {
				t.Errorf("content %q", got)
			}
			if st, err := os.Stat(filepath.Join(all, "run.sh")); err != nil || st.Mode() != 0o755 {
				t.Errorf("run.sh: %v, %v", st, err)
			}
			part, err := s.f.Get(t.Context(), src+"//shared"+a.query, sum)
			if err != nil || part != filepath.Join(all, "shared") || s.asked.Load() != 1 {
				t.Errorf("a folder in it: %s, %v after %d requests", part, err, s.asked.Load())
			}
			if _, err := s.f.Get(t.Context(), src+"//gone"+a.query, sum); err == nil || !strings.Contains(err.Error(), `there is no "gone" in it`) {
				t.Errorf("a folder that is not in it: %v", err)
			}
		})
	}
	s := newSite(t)
	src, sum := s.has("/x.tar", plain)
	if path, err := s.f.Get(t.Context(), src+"?archive=false", sum); err != nil || content(t, path) != string(plain) {
		t.Errorf("archive=false: %s, %v", path, err)
	}
}

func TestBadArchives(t *testing.T) {
	many := make([]tar.Header, 9)
	for i := range many {
		many[i] = file(strings.Repeat("x", i+1), "")
	}
	big := strings.Repeat("\x00", 3<<20)
	// A zip that claims a size of minus one: what adds up such claims stays below every limit.
	var liar bytes.Buffer
	w := zip.NewWriter(&liar)
	h := &zip.FileHeader{Name: "a", Method: zip.Deflate, UncompressedSize64: ^uint64(0), CompressedSize64: uint64(len(deflated(t, big)))}
	e, err := w.CreateRaw(h)
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Write(deflated(t, big))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	link := func(h *zip.FileHeader) { h.SetMode(0o777 | os.ModeSymlink) }
	comments := strings.Repeat("c", 700<<10)
	var headers []tar.Header
	for range 4 {
		headers = append(headers, tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": comments}})
	}
	for name, a := range map[string]struct {
		path string
		data []byte
		want string
	}{
		"symbolic link":  {"/x.tar", tarOf(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc/passwd"}), "links and devices are not taken"},
		"hard link":      {"/x.tar", tarOf(t, file("a", ""), tar.Header{Typeflag: tar.TypeLink, Name: "l", Linkname: "a"}), "links and devices are not taken"},
		"device":         {"/x.tar", tarOf(t, tar.Header{Typeflag: tar.TypeChar, Name: "null"}), "links and devices are not taken"},
		"link in a zip":  {"/x.zip", zipOf(t, map[string]string{"l": "/etc"}, link), "links and devices are not taken"},
		"up":             {"/x.tar", tarOf(t, file("../a", "")), "leads out of the archive"},
		"absolute":       {"/x.tar", tarOf(t, file("/tmp/a", "")), "leads out of the archive"},
		"up in a zip":    {"/x.zip", zipOf(t, map[string]string{"a/../../b": ""}, nil), "leads out of the archive"},
		"twice":          {"/x.tar", tarOf(t, file("a", "1"), file("./a", "2")), "twice"},
		"deep":           {"/x.tar", tarOf(t, file(strings.Repeat("a/", 40)+"a", "")), "deeper than"},
		"many":           {"/x.tar", tarOf(t, many...), "more than 8 files"},
		"big":            {"/x.tar.gz", gz(t, tarOf(t, file("a", big))), "larger than 2 MiB when unpacked"},
		"big headers":    {"/x.tar.gz", gz(t, tarOf(t, headers...)), "larger than 2 MiB when unpacked"},
		"big in a zip":   {"/x.zip", zipOf(t, map[string]string{"a": big}, nil), "larger than 2 MiB when unpacked"},
		"big by parts":   {"/x.zip", zipOf(t, map[string]string{"a": big[:3<<19], "b": big[:3<<19]}, nil), "larger than 2 MiB when unpacked"},
		"lying zip":      {"/x.zip", liar.Bytes(), "larger than 2 MiB when unpacked"},
		"empty":          {"/x.tar", tarOf(t), "empty"},
		"cut off":        {"/x.tar", tarOf(t, file("a", "content"))[:514], "cannot unpack"},
		"not an archive": {"/x.tar.gz", []byte("<html>"), "not a tar.gz archive"},
		"not a zip":      {"/x.zip", []byte("<html>"), "not a zip archive"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.f.limit.unpacked, s.f.limit.entries = 2<<20, 8
			src, sum := s.has(a.path, a.data)
			_, err := s.f.Get(t.Context(), src, sum)
			s.refused(t, err, a.want)
		})
	}
}
