package fetch

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	f := New(t.TempDir(), slog.New(slog.DiscardHandler))
	for text, want := range map[string]struct {
		pinned         bool
		whole, sum, in string // in: of the folder "labs/a b"
	}{
		"git::https://h.test/r//labs/x?ref=" + someCommit: {true, "git::https://h.test/r//labs/x?ref=" + someCommit, "commit " + someCommit,
			"git::https://h.test/r//labs/x/labs/a%20b?ref=" + someCommit},
		"git::https://h.test/r?checksum=commit:" + someCommit: {true, "git::https://h.test/r?checksum=commit:" + someCommit, "commit " + someCommit,
			"git::https://h.test/r//labs/a%20b?checksum=commit:" + someCommit},
		"git::https://h.test/r/?ref=v1.0": {false, "git::https://h.test/r/?ref=v1.0", "", ""},
		"git::https://h.test/r?ref=a/b":   {false, "git::https://h.test/r?ref=a/b", "", ""},
		"https://h.test/l.tar.gz//x/?checksum=" + someSum: {true, "https://h.test/l.tar.gz//x/?checksum=" + someSum, someSum,
			"https://h.test/l.tar.gz//x/labs/a%20b?checksum=" + someSum},
		"https://h.test/l?archive=zip&checksum=" + someSum: {true, "https://h.test/l?archive=zip&checksum=" + someSum, someSum,
			"https://h.test/l//labs/a%20b?archive=zip&checksum=" + someSum},
		"https://h.test/l.zip": {false, "https://h.test/l.zip", "", ""},
	} {
		a, err := f.ParseAddress(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if a.Pinned() != want.pinned || a.String() != want.whole {
			t.Errorf("%s: %s, pinned %v", text, a, a.Pinned())
		}
		if !want.pinned {
			continue
		}
		if in := a.In("labs/a b"); a.Sum() != want.sum || in.String() != want.in {
			t.Errorf("%s: sum %s, in it %s", text, a.Sum(), in)
		} else if again, err := f.ParseAddress(in.String()); err != nil || again.subdir != in.subdir || again.String() != in.String() {
			t.Errorf("%s, read again: %+v, %v", in, again, err)
		}
	}
}

func TestRefusedAddresses(t *testing.T) {
	f := New(t.TempDir(), slog.New(slog.DiscardHandler))
	for text, want := range map[string]string{
		"file:///etc/passwd":                                           "only https:// is taken",
		"http://h.test/a.zip?checksum=" + someSum:                      "write https://",
		"git::ssh://git@h.test/a?ref=main":                             "only https:// is taken",
		"git@h.test:a/b":                                               "not a URL",
		"s3::https://h.test/a.zip":                                     "s3:: is not taken",
		"https://h.test/lab.hcl?checksum=" + someSum:                   "a lab is a folder",
		"https://h.test/labs":                                          "a lab is a folder",
		"https://h.test/l.tar.xz":                                      "cannot be unpacked",
		"git::https://h.test/r":                                        "add ?ref=",
		"git::https://h.test/r?ref=--upload-pack=/bin/sh":              "not the name of a branch or tag",
		"git::https://h.test/r?ref=a*":                                 "not the name of a branch or tag",
		"git::https://h.test/r?ref=a..b":                               "not the name of a branch or tag",
		"git::https://h.test/r?ref=main&ref=other":                     "ref twice",
		"git::https://h.test/r?ref=main&checksum=commit:" + someCommit: "write the commit as ref",
		"git::https://h.test/r?ref=main&sshkey=a":                      "parameter sshkey is not taken",
		"git::https://h.test/r//../../etc?ref=main":                    "leads out",
		"https://h.test/l.zip?checksum=md5:abc":                        "not a checksum of a file",
		"https://h.test/l.zip?checksum=file:https://h.test/sums":       "not a checksum of a file",
		"git::https://h.test/r?checksum=" + someSum:                    "checked by its commit",
		"https://h.test/l.zip?%zz":                                     "cannot be read",
	} {
		_, err := f.ParseAddress(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that says %q", text, err, want)
		}
	}
}

// A branch and a tag are looked up, a tag that is an object of its own as its commit; what is ambiguous or missing is said.
func TestCommit(t *testing.T) {
	s := newSite(t)
	src, commit := s.repository(t, func(dir string) { put(t, dir, "labs/x/lab.hcl", "one") })
	dir := s.dirs["/repo.git/"]
	for _, args := range [][]string{
		{"branch", "other"}, {"branch", "feature/a"}, {"tag", "v1"}, {"-c", "user.name=a", "-c", "user.email=a@example.test", "tag", "-a", "-m", "x", "v2"},
		{"branch", "both"}, {"tag", "both"}, {"branch", "a/only"},
	} {
		cmd := exec.Command("git", args...)
		if cmd.Dir = dir; cmd.Run() != nil {
			t.Fatalf("git %v", args)
		}
	}
	for _, ref := range []string{"other", "feature/a", "v1", "v2", "HEAD", "refs/heads/both", "refs/tags/v2"} {
		a, err := s.f.ParseAddress(src + "//labs?ref=" + ref)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.f.Commit(t.Context(), a)
		if err != nil || got != commit {
			t.Errorf("%s: %s, %v; want %s", ref, got, err, commit)
		}
		there, err := s.f.Fetch(t.Context(), a.At(got).In("x"))
		if err != nil || content(t, filepath.Join(there.Path, "lab.hcl")) != "one" || there.Root != filepath.Join(s.f.dir, there.Key) {
			t.Errorf("%s: %+v, %v", ref, there, err)
		}
		if !s.f.Holds(there.Path) || s.f.Holds(s.cache) {
			t.Error("what was fetched is not known as such")
		}
	}
	for ref, want := range map[string]string{"both": "a branch and a tag", "gone": "no branch and no tag", "only": "no branch and no tag"} {
		a, err := s.f.ParseAddress(src + "?ref=" + ref)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = s.f.Commit(t.Context(), a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that says %q", ref, err, want)
		}
	}
	s.f.AllowLocal = false
	a, err := s.f.ParseAddress(src + "?ref=other")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.f.Commit(t.Context(), a); err == nil || !strings.Contains(err.Error(), "this host itself") {
		t.Errorf("a branch of this host: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.f.dir, tmpPrefix+"*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A server that lists without end is left.
func TestEndlessList(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	s := newSite(t)
	s.mux.HandleFunc("/repo.git/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = w.Write([]byte("001e# service=git-upload-pack\n0000"))
		capabilities := "\x00agent=git/2.37"
		for i := range 60_000 { // names that match, as git looks at their ends
			line := fmt.Sprintf("%s refs/heads/%d/refs/heads/main%s\n", someCommit, i, capabilities)
			if capabilities = ""; r.Context().Err() != nil {
				return
			}
			_, _ = fmt.Fprintf(w, "%04x%s", len(line)+4, line)
		}
		_, _ = w.Write([]byte("0000"))
	})
	a, err := s.f.ParseAddress("git::" + s.URL + "/repo.git?ref=main")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.f.Commit(t.Context(), a)
	s.refused(t, err, "lists more than it was asked for")
}

func TestSumNow(t *testing.T) {
	s := newSite(t)
	src, sum := s.has("/labs.tar.gz", []byte("not looked into"))
	a, err := s.f.ParseAddress(src + "//x")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.f.SumNow(t.Context(), a); err != nil || got != sum {
		t.Errorf("%s, %v; want %s", got, err, sum)
	}
	if _, err := os.Stat(s.f.dir); !os.IsNotExist(err) {
		t.Errorf("something was kept: %v", err)
	}
	s.f.limit.download = 4
	if _, err := s.f.SumNow(t.Context(), a); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a file that is too large: %v", err)
	}
	a.Source = strings.Replace(a.Source, "labs.tar.gz", "gone.tar.gz", 1)
	if _, err := s.f.SumNow(t.Context(), a); err == nil || !strings.Contains(err.Error(), "answers 404") {
		t.Errorf("a file that is not there: %v", err)
	}
}
