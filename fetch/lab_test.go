package fetch_test

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/faults"
	"github.com/saigen-lab/saigen/fetch"
	"github.com/saigen-lab/saigen/labfile"
)

const lab = `lab "x" {
  title = "x"
}

expect { verdict = "reproduced" }

include {
  source   = %q
  checksum = "sha256:%x"
}

fault "command" "break" {
  machine = machine.server
  inject  = "do.sh"
  verify  = "do.sh"
  heal    = "undo.sh"
}

symptom "command" "broken" {
  machine = machine.server
  run     = "test -e /broken"
  exit    = 0
}
`

const shared = `image "host" {
  debian = "bookworm"
}

machine "server" {
  image = image.host
}
`

// A lab whose include was fetched once is valid without the server, and for as long as its checksum stays.
func TestLabStaysValid(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(shared)) }))
	defer server.Close()
	f := fetch.New(t.TempDir(), slog.New(slog.DiscardHandler))
	f.AllowLocal = true
	f.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	loader := labfile.Loader{
		Kinds: labfile.Kinds{Faults: faults.Kinds(), Assertions: assertions.Kinds()},
		Fetch: func(source, checksum string) (string, error) { return f.Get(t.Context(), source, checksum) },
	}
	path := filepath.Join(t.TempDir(), "labs", "x", labfile.FileName)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, script := range []string{"do.sh", "undo.sh"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), script), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(content string) {
		t.Helper()
		text := fmt.Sprintf(lab, server.URL+"/rootless.hcl", sha256.Sum256([]byte(content)))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	valid := func(when string) {
		t.Helper()
		file, diags := loader.Load(path)
		if len(diags) > 0 {
			t.Fatalf("%s: %v", when, diags.Error())
		}
		if l := file.Lab(file.Variants()[0]); len(l.Machines) != 1 || l.Machines[0].Name != "server" {
			t.Errorf("%s: machines %+v", when, l.Machines)
		}
	}

	write("what was looked at")
	_, diags := loader.Load(path)
	right := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(shared)))
	if len(diags) != 1 || diags[0].Summary != "Cannot fetch the included file" || !strings.Contains(diags[0].Detail, right) {
		t.Errorf("with another checksum: %v", diags.Error())
	}
	write(shared)
	valid("at first")
	server.Close()
	valid("without the server")
}
