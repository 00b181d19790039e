package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobodyHere is a user id that no host gives to anybody.
const nobodyHere = 543210

// A user who is in no group but their own, and of whom the host knows nothing, can run a lab, and the host is compared with what
// it was. As root the test becomes such a user.
func TestNormalUser(t *testing.T) {
	dir, err := os.MkdirTemp("", "saigen-user-") // testing's own folders are closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(dir, "saigen") // the test binary lies where nobody else may look
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(self, data, 0o755); err != nil {
		t.Fatal(err)
	}
	// Where doctor asks go for its version, go leaves a process of its telemetry, which writes here when the test has ended.
	if err := os.WriteFile(filepath.Join(dir, ".config"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "labs"), os.DirFS("testdata/labs")); err != nil {
		t.Fatal(err)
	}
	attr := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: nobodyHere, Gid: nobodyHere}
		for path := dir; path != "/"; path = filepath.Dir(path) {
			if st, err := os.Stat(path); err != nil || st.Mode().Perm()&0o001 == 0 {
				t.Skipf("%s is closed to other users", path)
			}
		}
		err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Chown(path, nobodyHere, nobodyHere)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	saigen := func(args ...string) (stdout, stderr string, err error) {
		cmd := exec.Command(self, args...)
		cmd.Args[0], cmd.Dir, cmd.SysProcAttr = "saigen", dir, attr
		// As su leaves it: the variable is root's.
		cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "XDG_RUNTIME_DIR=/run/user/0", "LANG=C.UTF-8"}
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err = cmd.Run()
		return out.String(), errs.String(), err
	}
	out, errs, err := saigen("run", "labs/flaky", "debian:bookworm", "--driver", "fake")
	if err != nil || errs != "" || strings.Contains(out, "WARNING") || !strings.Contains(out, "reproduced, as expected") {
		t.Errorf("run: %v\n%s%s", err, out, errs)
	}
	if _, err := os.Stat(filepath.Join(dir, ".local", "state", "saigen", "runs")); err != nil {
		t.Error(err)
	}
	// What is left behind is seen without any privilege.
	out, errs, err = saigen("run", "labs/flaky", "debian:bookworm", "--driver", "leaky", "--quiet")
	if err == nil || !strings.Contains(out, "left on this host") || !strings.Contains(out, "process ") {
		t.Errorf("a run that leaves a process behind: %v\n%s%s", err, out, errs)
	}
	if os.Geteuid() != 0 {
		return
	}
	// Why the driver of containers is not chosen: it needs root.
	out, errs, _ = saigen("doctor")
	if !strings.Contains(out, "✗ root") || !strings.Contains(out, "system containers are made by root") {
		t.Errorf("doctor:\n%s%s", out, errs)
	}
}
