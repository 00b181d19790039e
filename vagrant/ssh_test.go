package vagrant

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestStream(t *testing.T) {
	s, err := start(exec.Command("cat"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(s, "there and back"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 14)
	if _, err := io.ReadFull(s, buf); err != nil || string(buf) != "there and back" {
		t.Errorf("%q, %v", buf, err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if s.cmd.ProcessState == nil {
		t.Error("the program still runs")
	}
}

func TestStreamThatDoesNotEndByItself(t *testing.T) {
	s, err := start(exec.Command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_ = s.Close()
	if took := time.Since(began); s.cmd.ProcessState == nil || took > 10*closeTime {
		t.Errorf("it has ended: %v, after %s", s.cmd.ProcessState, took)
	}
}

// What ssh says is why an agent cannot be reached.
func TestReachExplains(t *testing.T) {
	_, err := reach(t.Context(), exec.Command("sh", "-c", "echo Permission denied >&2; exit 255"), strings.NewReader("agent"))
	if err == nil || !strings.Contains(err.Error(), `ssh says "Permission denied"`) {
		t.Errorf("the error is %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := reach(ctx, exec.Command("sleep", "1000"), nil); err != context.DeadlineExceeded { //nolint:errorlint // as it is
		t.Errorf("without an answer: %v", err)
	}
}

// The script takes exactly the agent from its input: what follows belongs to whoever reads next.
func TestInstallScriptTakesItsShareOnly(t *testing.T) {
	dir := t.TempDir()
	const program = "not really a program"
	cmd := exec.Command("sh", "-c", "head -c 20 > "+filepath.Join(dir, "a")+"; exec cat")
	in, w := io.Pipe()
	cmd.Stdin = in
	go func() { _, _ = io.WriteString(w, program+"and the rest"); _ = w.Close() }()
	out, err := cmd.Output()
	if err != nil || string(out) != "and the rest" {
		t.Errorf("the rest is %q, %v", out, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(data) != program {
		t.Errorf("the program is %q, %v", data, err)
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
