package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// database writes a vulnerability database, in the layout of https://go.dev/security/vuln/database, with one vulnerability in a
// function of a package.
func database(t *testing.T, module, pkg, symbol string) string {
	t.Helper()
	dir := t.TempDir()
	const at = "2026-01-01T00:00:00Z"
	for name, text := range map[string]string{
		"index/db.json":      fmt.Sprintf(`{"modified":%q}`, at),
		"index/modules.json": fmt.Sprintf(`[{"path":%q,"vulns":[{"id":"GO-2026-0001","modified":%q}]}]`, module, at),
		"index/vulns.json":   fmt.Sprintf(`[{"id":"GO-2026-0001","modified":%q}]`, at),
		"ID/GO-2026-0001.json": fmt.Sprintf(`{"schema_version":"1.3.1","id":"GO-2026-0001","modified":%q,"published":%q,
			"summary":"Made up by a test","details":"It is made up.",
			"affected":[{"package":{"name":%q,"ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
			"ecosystem_specific":{"imports":[{"path":%q,"symbols":[%q]}]}}],"database_specific":{"url":"https://pkg.go.dev/vuln/GO-2026-0001"}}`, at, at, module, pkg, symbol),
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return "file://" + dir
}

// A vulnerability of a function that is called fails, with its name; that of one that is not called is not held against saigen.
func TestVulnerabilityIsFound(t *testing.T) {
	var out bytes.Buffer
	s := scan{db: database(t, "golang.org/x/sys", "golang.org/x/sys/unix", "PidfdOpen"), dir: "..", patterns: []string{"./ledger"}, stdout: &out, stderr: &out}
	if err := s.look(t.Context()); err == nil || !strings.Contains(out.String(), "GO-2026-0001") || !strings.Contains(out.String(), "calls unix.PidfdOpen") {
		t.Errorf("a function with a vulnerability is called, and the error is %v; it printed\n%s", err, out.String())
	}
	out.Reset()
	s.db = database(t, "golang.org/x/sys", "golang.org/x/sys/unix", "Splice")
	if err := s.look(t.Context()); err != nil {
		t.Errorf("a function with a vulnerability is not called: %v; it printed\n%s", err, out.String())
	}
}

func TestNotLookedAt(t *testing.T) {
	refuses := httptest.NewServer(http.NotFoundHandler())
	defer refuses.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, db := range map[string]string{"refuses": refuses.URL, "is not there": gone.URL} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			note := filepath.Join(t.TempDir(), "bin", "note")
			s := scan{db: db, dir: "..", stdout: &out, stderr: &out}
			var u *unreached
			if err := s.look(t.Context()); !errors.As(err, &u) {
				t.Fatalf("error %v, want that it could not look", err)
			}
			if err := s.lookAndTell(t.Context(), false, note); err != nil {
				t.Errorf("without a way to the database it fails: %v", err)
			}
			said, err := os.ReadFile(note)
			if err != nil || !strings.Contains(out.String(), "NOT LOOKED AT: 1 of the 3 checks") || string(said) != out.String() {
				t.Errorf("it is not said loudly: printed %q, noted %q, %v", out.String(), said, err)
			}
			if err := s.lookAndTell(t.Context(), true, note); !errors.As(err, &u) {
				t.Errorf("required, and yet: %v", err)
			}
		})
	}
	for _, db := range []string{"file://" + t.TempDir(), "ftp://example.com", ":"} {
		var u *unreached
		if err := (scan{db: db}).lookAndTell(t.Context(), false, ""); err == nil || errors.As(err, &u) {
			t.Errorf("%s is a mistake, not a database that cannot be reached: %v", db, err)
		}
	}
}
