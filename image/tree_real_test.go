package image

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// tree lists what a disk holds, by mounting it in a namespace of a process's own: a line for each file with its mode,
// owner, links, extended attributes, time and content.
func tree(t *testing.T, disk, label string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "--", "sh", "-euc",
		`mount -o ro,loop "$1" "$2" && exec "$3" -test.run='^TestRealTree$'`, "sh", disk, t.TempDir(), os.Args[0])
	out := filepath.Join(t.TempDir(), "tree")
	cmd.Env = append(os.Environ(), "SAIGEN_IMAGE_TREE="+cmd.Args[len(cmd.Args)-2], "SAIGEN_IMAGE_TREE_TO="+out)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot read %s: %v\n%s", label, err, text)
	}
	return string(read(t, out))
}

// TestRealTree is the process that tree starts.
func TestRealTree(t *testing.T) {
	dir, out := os.Getenv("SAIGEN_IMAGE_TREE"), os.Getenv("SAIGEN_IMAGE_TREE_TO")
	if dir == "" {
		t.Skip("TestRealDisks runs it, in a namespace of its own")
	}
	var all bytes.Buffer
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		st, err := os.Lstat(name)
		if err != nil {
			return err
		}
		sys := st.Sys().(*syscall.Stat_t)
		_, _ = fmt.Fprintf(&all, "%s %v %d:%d %d%s", rel, st.Mode(), sys.Uid, sys.Gid, sys.Nlink, xattrs(t, name))
		switch {
		case st.Mode().IsRegular():
			_, _ = fmt.Fprintf(&all, " %d %x", st.ModTime().UnixNano(), sha256.Sum256(read(t, name)))
		case st.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(name)
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(&all, " -> %s", to)
		}
		all.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out, all.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func xattrs(t *testing.T, name string) string {
	t.Helper()
	list := make([]byte, 4096)
	n, err := unix.Llistxattr(name, list)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.FieldsFunc(string(list[:n]), func(r rune) bool { return r == 0 })
	slices.Sort(all)
	var text strings.Builder
	for _, a := range all {
		value := make([]byte, 4096)
		n, err := unix.Lgetxattr(name, a, value)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(&text, " %s=%x", a, value[:n])
	}
	return text.String()
}

// differ lists lines that only one of the two has.
func differ(a, b string, ignore func(line string) bool) string {
	var out strings.Builder
	only := func(sign, text, other string) {
		has := map[string]bool{}
		for line := range strings.Lines(other) {
			has[line] = true
		}
		for line := range strings.Lines(text) {
			if !has[line] && !ignore(line) {
				out.WriteString(sign + line)
			}
		}
	}
	only("-", a, b)
	only("+", b, a)
	return out.String()
}

func fsck(t *testing.T, disk string) {
	t.Helper()
	path, err := lookPath("e2fsck")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, "-f", "-n", disk).CombinedOutput(); err != nil {
		t.Errorf("e2fsck %s: %v\n%s", disk, err, out)
	}
}

func blocks(t *testing.T, name string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}
