package fetch

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository makes a git repository whose one commit holds files, and lets s serve it at /repo.git.
func (s *site) repository(t *testing.T, fill func(dir string)) (source, commit string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		t.Skip("git is installed without git-http-backend")
	}
	top := t.TempDir()
	dir := filepath.Join(top, "repo.git")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + top, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.test", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.test"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	s.dirs = map[string]string{"/repo.git/": dir}
	git("init", "-q")
	fill(dir)
	git("add", "-A")
	git("commit", "-q", "-m", "shared")
	s.mux.Handle("/repo.git/", &cgi.Handler{
		Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + top, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + top,
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
		Stderr: t.Output(),
	})
	return "git::" + s.URL + "/repo.git", git("rev-parse", "HEAD")
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestGit(t *testing.T) {
	s := newSite(t)
	// What the user configured for git is for the user's own repositories.
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "http.extraHeader")
	t.Setenv("GIT_CONFIG_VALUE_0", "Authorization: secret")
	src, commit := s.repository(t, func(dir string) { put(t, dir, "shared/include.hcl", "one") })
	inner := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("credentials were sent")
		}
		inner.ServeHTTP(w, r)
	})
	path, err := s.f.Get(t.Context(), src+"//shared?ref="+commit, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, filepath.Join(path, "include.hcl")); got != "one" {
		t.Errorf("content %q", got)
	}
	s.Close()
	again, err := s.f.Get(t.Context(), src, "commit:"+commit)
	if err != nil || again != filepath.Dir(path) {
		t.Errorf("again, without the server: %s, %v", again, err)
	}
	if left, err := os.ReadDir(s.f.dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestBadRepositories(t *testing.T) {
	noise := func(n int) string { // that does not compress
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			b.WriteString(sumOf(fmt.Append(nil, i)))
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		fill func(dir string)
		want string
	}{
		"symbolic link": {func(dir string) {
			if err := os.Symlink("/etc/passwd", filepath.Join(dir, "include.hcl")); err != nil {
				t.Fatal(err)
			}
		}, "links and devices are not taken"},
		"many": {func(dir string) {
			for i := range 9 {
				put(t, dir, fmt.Sprint(i), "")
			}
		}, "more than 8 files"},
		"expands":  {func(dir string) { put(t, dir, "a", strings.Repeat("\x00", 3<<20)) }, "larger than 2 MiB when unpacked"},
		"download": {func(dir string) { put(t, dir, "a", noise(5<<20)) }, "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.f.limit.download, s.f.limit.unpacked, s.f.limit.entries = 1<<20, 2<<20, 8
			src, commit := s.repository(t, c.fill)
			_, err := s.f.Get(t.Context(), src, "commit:"+commit)
			s.refused(t, err, c.want)
		})
	}
	t.Run("another commit", func(t *testing.T) {
		s := newSite(t)
		src, _ := s.repository(t, func(dir string) { put(t, dir, "a", "") })
		_, err := s.f.Get(t.Context(), src, "commit:"+someCommit)
		s.refused(t, err, "git says: ")
	})
	t.Run("sent elsewhere", func(t *testing.T) {
		s := newSite(t)
		src, commit := s.repository(t, func(dir string) { put(t, dir, "a", "") })
		s.mux.HandleFunc("/moved.git/", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, strings.Replace(r.URL.String(), "/moved.git", "/repo.git", 1), http.StatusFound)
		})
		_, err := s.f.Get(t.Context(), strings.Replace(src, "/repo.git", "/moved.git", 1), "commit:"+commit)
		s.refused(t, err, "git says: ")
	})
}

// A cancel ends git and all that it started: its connection to the server is closed.
func TestGitCancelled(t *testing.T) {
	s := newSite(t)
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	begun, over := make(chan bool), make(chan bool)
	s.mux.HandleFunc("/repo.git/", func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(over)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	_, err := s.f.Get(ctx, "git::"+s.URL+"/repo.git", "commit:"+someCommit)
	s.refused(t, err, "context canceled")
	<-over
}

// git connects to the address that was looked up and checked, and does not look the name up again.
func TestGitUsesCheckedAddress(t *testing.T) {
	s := newSite(t)
	src, commit := s.repository(t, func(dir string) { put(t, dir, "a", "") })
	src = strings.Replace(src, "127.0.0.1", "example.com", 1) // for which httptest's certificate is good
	s.f.resolve = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1")}, nil
	}
	s.f.AllowLocal = false
	_, err := s.f.Get(t.Context(), src, "commit:"+commit)
	s.refused(t, err, "this host itself")
	s.f.AllowLocal = true
	if _, err := s.f.Get(t.Context(), src, "commit:"+commit); err != nil {
		t.Error(err)
	}
}

// TestGitKilled kills a process that is fetching: its git lets the server go, and the next fetch removes its folder.
func TestGitKilled(t *testing.T) {
	if src := os.Getenv("FETCH_TEST_SOURCE"); src != "" { // that process
		f := New(os.Getenv("FETCH_TEST_CACHE"), slog.New(slog.DiscardHandler))
		f.AllowLocal, f.AllowHTTP = true, true
		_, err := f.Get(t.Context(), src, "commit:"+someCommit)
		t.Fatalf("it was not killed: %v", err)
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	begun, over := make(chan bool), make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(over)
	}))
	defer server.Close()
	s := newSite(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestGitKilled$")
	cmd.Env = append(os.Environ(), "FETCH_TEST_SOURCE=git::"+server.URL+"/repo.git", "FETCH_TEST_CACHE="+s.cache)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it ended well")
	}
	<-over
	left, err := os.ReadDir(s.f.dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left by the killed process: %v, %v", left, err)
	}
	_, err = s.f.Get(t.Context(), s.URL+"/gone", someSum)
	s.refused(t, err, "404")
}
