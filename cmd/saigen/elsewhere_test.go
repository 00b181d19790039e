package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/saigen-lab/saigen/fetch"
)

// testFetcher is the shipped one, and where ELSEWHERE names a certificate authority's file, one that takes the test's own
// server, which is on this host, for one elsewhere. Only this test binary has it.
func testFetcher(cacheDir string, log *slog.Logger) *fetch.Fetcher {
	f := fetch.New(cacheDir, log)
	if ca := os.Getenv("ELSEWHERE"); ca != "" {
		var err error
		if f.CA, err = os.ReadFile(ca); err != nil {
			panic(err)
		}
		f.AllowLocal = true
	}
	return f
}

// elsewhere is a server of git repositories and archives.
type elsewhere struct {
	*httptest.Server
	dir string // of what it serves
}

// newElsewhere starts one, whose certificate is written to the file ca.
func newElsewhere(dir, ca string) (*elsewhere, error) {
	e := &elsewhere{dir: dir}
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return nil, err
	}
	git := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env: []string{
			"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + dir,
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
		},
		Stderr: io.Discard,
	}
	files := http.FileServerFS(os.DirFS(dir))
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, ".git/") {
			git.ServeHTTP(w, r)
			return
		}
		files.ServeHTTP(w, r)
	}))
	e.Config.ErrorLog = log.New(io.Discard, "", 0)
	e.StartTLS()
	return e, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate().Raw}), 0o644)
}

// publish NAME.git FOLDER commits a folder to the branch main of a repository elsewhere, and sets COMMIT; publish NAME.tar.gz
// FOLDER makes an archive of it, and sets SUM. SITE is where they are.
func publish(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs("elsewhere")
	ts.Check(os.MkdirAll(dir, 0o755))
	if ts.Getenv("SITE") == "" {
		ca := ts.MkAbs("ca.pem")
		e, err := newElsewhere(dir, ca)
		ts.Check(err)
		ts.Defer(e.Close)
		ts.Setenv("ELSEWHERE", ca)
		ts.Setenv("SITE", e.URL)
	}
	to, from := filepath.Join(dir, args[0]), ts.MkAbs(args[1])
	if strings.HasSuffix(to, ".git") {
		commit, err := commitFolder(to, from)
		ts.Check(err)
		ts.Setenv("COMMIT", commit)
		return
	}
	data, err := archiveOf(from)
	ts.Check(err)
	ts.Check(os.WriteFile(to, data, 0o644))
	sum := sha256.Sum256(data)
	ts.Setenv("SUM", "sha256:"+hex.EncodeToString(sum[:]))
}

// commitFolder makes what is in a folder the newest commit of a repository, which is made when it is not there.
func commitFolder(repository, from string) (commit string, err error) {
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"--git-dir", repository, "--work-tree", from}, args...)...)
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(repository), "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.test", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.test",
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, failed := cmd.Output()
		if failed != nil && err == nil {
			err = &exec.Error{Name: "git " + strings.Join(args, " ") + ": " + stderr.String(), Err: failed}
		}
		return strings.TrimSpace(string(out))
	}
	if _, missing := os.Stat(repository); missing != nil {
		git("init", "-q", "-b", "main")
		git("config", "core.bare", "false")
	}
	git("add", "-A")
	git("commit", "-q", "--allow-empty", "-m", "labs")
	return git("rev-parse", "HEAD"), err
}

// archiveOf packs a folder.
func archiveOf(from string) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == from {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		link := ""
		if d.Type()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(path); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		if h.Name, err = filepath.Rel(from, path); err != nil {
			return err
		}
		if err := w.WriteHeader(h); err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = z.Close()
	}
	return out.Bytes(), err
}
