package vagrant

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// What ssh says is why an agent cannot be reached.
func TestDialExplains(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte("#!/bin/sh\necho \"$@\" > $0.args; echo Permission denied >&2; exit 255\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	_, err := dial(t.Context(), "/the/config", "server", 0)
	var infra *lab.InfraError
	if !errors.As(err, &infra) || !strings.Contains(infra.Tail, "Permission denied") {
		t.Errorf("the error is %v", err)
	}
	args, err := os.ReadFile(filepath.Join(bin, "ssh.args"))
	if err != nil || !strings.HasPrefix(string(args), "-F /the/config ") || !strings.Contains(string(args), " server if ") {
		t.Errorf("ssh was called with %s, %v", args, err)
	}
}

// A machine whose ssh does not work at first is reached all the same; one that never does is given up.
func TestDialIsPatient(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte("#!/bin/sh\necho x >> $0.calls; exit 255\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	if _, err := dial(t.Context(), "/the/config", "server", 500*time.Millisecond); err == nil {
		t.Error("nobody was reached")
	}
	if calls, err := os.ReadFile(filepath.Join(bin, "ssh.calls")); err != nil || len(calls) < 4 {
		t.Errorf("ssh was called %d times, %v", len(calls)/2, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := dial(ctx, "/the/config", "server", time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("when there is no time left: %v", err)
	}
}

// The agent's program is the script's input; an account that is root needs no sudo.
func TestAsRoot(t *testing.T) {
	cmd := exec.Command("sh", "-c", strings.ReplaceAll(asRoot("cat; echo it\\'s done"), "id -u", "echo 0"))
	cmd.Stdin = strings.NewReader("input ")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "input it's done\n" {
		t.Errorf("the script says %q, %v", out, err)
	}
}

func TestQuote(t *testing.T) {
	const nasty = `it's "$HOME" \n`
	out, err := exec.Command("sh", "-c", "printf %s "+quote(nasty)).Output()
	if err != nil || string(out) != nasty {
		t.Errorf("the shell says %q, %v", out, err)
	}
}

func TestCopyFolder(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"Vagrantfile": "x", "scripts/setup.sh": "#!/bin/sh\n", ".vagrant/machines/a/id": "1", ".git/config": "y"} {
		file := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	if err := copyFolder(from, to); err != nil {
		t.Fatal(err)
	}
	var got []string
	_ = filepath.WalkDir(to, func(path string, d os.DirEntry, _ error) error {
		if !d.IsDir() {
			name, _ := filepath.Rel(to, path)
			got = append(got, name)
		}
		return nil
	})
	if want := "Vagrantfile link scripts/setup.sh"; strings.Join(got, " ") != want {
		t.Errorf("the copy has %v", got)
	}
	if link, err := os.Readlink(filepath.Join(to, "link")); err != nil || link != "/etc/passwd" {
		t.Errorf("the link leads to %q, %v", link, err)
	}
}
