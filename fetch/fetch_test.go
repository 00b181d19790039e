package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// site is a server with a certificate authority of its own, and a Fetcher that trusts it.
type site struct {
	*httptest.Server
	f     *Fetcher
	mux   *http.ServeMux
	asked atomic.Int32 // requests
	cache string
	dirs  map[string]string // of repositories, by their path
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{mux: http.NewServeMux(), cache: t.TempDir()}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.mux.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused certificates are meant
	s.StartTLS()
	t.Cleanup(s.Close)
	s.f = New(s.cache, slog.New(slog.DiscardHandler))
	s.f.AllowLocal = true
	s.f.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return s
}

// has lets the server serve data at path, and returns its source and checksum.
func (s *site) has(path string, data []byte) (source, checksum string) {
	s.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	return s.URL + path, sumOf(data)
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// refused says whether err tells what the reader must know, and that nothing is left of the attempt.
func (s *site) refused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one that says %q", err, want)
	}
	left, _ := os.ReadDir(filepath.Join(s.cache, "fetched")) // missing: nothing is left
	for _, l := range left {
		t.Errorf("%s is left", l.Name())
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFile(t *testing.T) {
	s := newSite(t)
	src, sum := s.has("/rootless.hcl", []byte("image"))
	path, err := s.f.Get(t.Context(), src, sum)
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "image" {
		t.Errorf("content %q", got)
	}
	if want := filepath.Join(s.cache, "fetched", strings.TrimPrefix(sum, "sha256:")); path != want {
		t.Errorf("path %s, want %s", path, want)
	}
	s.Close() // from here on there is no network
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	again, err := s.f.Get(gone, src, strings.ToUpper(sum))
	if err != nil || again != path || s.asked.Load() != 1 {
		t.Errorf("again: %s, %v after %d requests", again, err, s.asked.Load())
	}
	if _, err := s.f.Get(t.Context(), src, sumOf([]byte("other"))); err == nil {
		t.Error("another checksum was answered from the cache")
	}
}

func TestChecksumDiffers(t *testing.T) {
	s := newSite(t)
	src, sum := s.has("/a.hcl", []byte("changed"))
	_, err := s.f.Get(t.Context(), src, sumOf([]byte("looked at")))
	s.refused(t, err, `if it is what you meant, write checksum = "`+sum+`"`)
}

func TestTooLarge(t *testing.T) {
	for _, length := range []string{"told", "not told"} {
		s := newSite(t)
		s.f.limit.download = 1 << 20
		data := make([]byte, 3<<20)
		s.mux.HandleFunc("/x", func(w http.ResponseWriter, _ *http.Request) {
			if length == "not told" {
				w.(http.Flusher).Flush()
			}
			_, _ = w.Write(data)
		})
		_, err := s.f.Get(t.Context(), s.URL+"/x", sumOf(data))
		s.refused(t, err, "larger than 1 MiB")
		s.f.limit.download = int64(len(data))
		if _, err := s.f.Get(t.Context(), s.URL+"/x", sumOf(data)); err != nil {
			t.Errorf("a file as large as the limit, length %s: %v", length, err)
		}
	}
}

// A server that sends a part and then hangs is left when the caller cancels, or when the time is over.
func TestEnds(t *testing.T) {
	for name, want := range map[string]string{"cancelled": "context canceled", "slow": "it took longer than 50ms"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			begun, over := make(chan bool), make(chan bool)
			s.mux.HandleFunc("/x", func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte("half"))
				w.(http.Flusher).Flush()
				close(begun)
				<-r.Context().Done()
				close(over)
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if name == "slow" {
				s.f.limit.time = 50 * time.Millisecond
			} else {
				go func() { <-begun; cancel() }()
			}
			_, err := s.f.Get(ctx, s.URL+"/x", sumOf(nil))
			s.refused(t, err, want)
			<-over
		})
	}
}

func TestAnswers(t *testing.T) {
	s := newSite(t)
	_, err := s.f.Get(t.Context(), s.URL+"/gone", sumOf(nil))
	s.refused(t, err, "bad response code: 404")
	s.mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	_, err = s.f.Get(t.Context(), s.URL+"/loop", sumOf(nil))
	s.refused(t, err, "sends on more than 5 times")
	s.mux.Handle("/plain", http.RedirectHandler("http://example.test/", http.StatusFound))
	_, err = s.f.Get(t.Context(), s.URL+"/plain", sumOf(nil))
	s.refused(t, err, "only https:// is taken")
	s.mux.Handle("/passwd", http.RedirectHandler("file:///etc/passwd", http.StatusFound))
	_, err = s.f.Get(t.Context(), s.URL+"/passwd", sumOf(nil))
	s.refused(t, err, "only https:// is taken")
	s.mux.HandleFunc("/other/", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Terraform-Get", "/etc") })
	_, err = s.f.Get(t.Context(), s.URL+"/other/", sumOf([]byte("x")))
	s.refused(t, err, "sha256 is another one")
	s.f.CA = nil
	_, err = s.f.Get(t.Context(), s.URL+"/gone", sumOf(nil))
	s.refused(t, err, "certificate")
	src, sum := s.has("/there", []byte("x"))
	s.mux.Handle("/on", http.RedirectHandler(src, http.StatusFound))
	s.f.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if _, err := s.f.Get(t.Context(), s.URL+"/on", sum); err != nil {
		t.Errorf("a redirect to the right file: %v", err)
	}
}

// Nothing of the user's environment reaches a server: no proxy is used, and no credentials are sent.
func TestEnvironment(t *testing.T) {
	s := newSite(t)
	netrc := filepath.Join(t.TempDir(), "netrc")
	if err := os.WriteFile(netrc, []byte("machine "+s.Listener.Addr().String()+" login me password secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NETRC", netrc)
	t.Setenv("HTTPS_PROXY", "http://proxy.invalid:1")
	s.mux.HandleFunc("/x", func(_ http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if name != "User-Agent" {
				t.Errorf("sent %s: %s", name, r.Header.Get(name))
			}
		}
		if r.URL.RawQuery != "" {
			t.Errorf("sent %s", r.URL)
		}
	})
	if _, err := s.f.Get(t.Context(), s.URL+"/x", sumOf(nil)); err != nil {
		t.Error(err)
	}
}

func TestConcurrent(t *testing.T) {
	s := newSite(t)
	src, sum := s.has("/x.tar", tarOf(t, file("a", "content")))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			other := *s.f // as another process has one
			if path, err := other.Get(t.Context(), src, sum); err != nil || content(t, filepath.Join(path, "a")) != "content" {
				t.Errorf("%s, %v", path, err)
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(s.f.dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// What a killed process left is removed by the next one that fetches, unless somebody is fetching.
func TestKilled(t *testing.T) {
	s := newSite(t)
	old := filepath.Join(s.f.dir, tmpPrefix+"old")
	if err := os.MkdirAll(old, 0o700); err != nil {
		t.Fatal(err)
	}
	src, sum := s.has("/x", []byte("x"))
	unlock, err := s.f.lock()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the folder of a killed fetch is still there: %v", err)
	}
	busy := filepath.Join(s.f.dir, tmpPrefix+"busy")
	if err := os.Mkdir(busy, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.f.Get(t.Context(), src, sum); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(busy); err != nil {
		t.Errorf("the folder of a running fetch is gone: %v", err)
	}
}
