package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/procfs"
)

// undoDirectory removes a folder and what is in it. It refuses when anything is mounted there: removing would then
// reach into something that is not the run's.
func undoDirectory(_ context.Context, e Entry) error {
	if !filepath.IsAbs(e.Path) || filepath.Clean(e.Path) == "/" {
		return fmt.Errorf("not an absolute path below the root")
	}
	path, err := filepath.EvalSymlinks(filepath.Dir(e.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	path = filepath.Join(path, filepath.Base(e.Path))
	mounts, err := procfs.GetMounts()
	if err != nil {
		return fmt.Errorf("cannot read mounts: %w", err)
	}
	for _, m := range mounts {
		if at := unescape(m.MountPoint); at == path || strings.HasPrefix(at, path+"/") {
			return fmt.Errorf("%s is mounted there; umount %s", m.Source, at)
		}
	}
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.New("it is still there")
	}
	return nil
}

// unescape reads a path as the kernel writes it in mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace
