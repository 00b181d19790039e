package image

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Bounds of a folder of the lab that goes into an image: a folder that is larger was not meant.
const (
	mostSources = 10_000
	mostBytes   = 64 << 20
)

// readFolder reads every file of a folder of the lab, in order, but what skip says of its name. A symlink is refused: it
// could lead out of the lab.
func readFolder(labDir string, folder lab.Path, skip func(name string, folder bool) bool) ([]file, error) {
	root, err := openFolder(labDir, folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	var all []file
	size := 0
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && skip(d.Name(), d.IsDir()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is not a plain file", name)
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		if st.Size() > mostBytes-int64(size) || len(all) == mostSources {
			return fmt.Errorf("the folder holds more than %d MiB or %d files; is it the right one?", mostBytes>>20, mostSources)
		}
		data, err := root.ReadFile(name)
		if err != nil {
			return err
		}
		size += len(data)
		one := file{name: name, mode: 0o644, data: data}
		if st.Mode()&0o111 != 0 {
			one.mode = 0o755
		}
		all = append(all, one)
		return nil
	})
	return all, err
}

// openFolder opens a folder of the lab, to which no link on the way may lead.
func openFolder(labDir string, folder lab.Path) (*os.Root, error) {
	root, err := os.OpenRoot(labDir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	at := ""
	for part := range strings.SplitSeq(path.Clean(string(folder)), "/") {
		at = path.Join(at, part)
		st, err := root.Lstat(at)
		if err != nil {
			return nil, err
		}
		if !st.IsDir() {
			return nil, fmt.Errorf("%s is not a folder", at)
		}
	}
	return root.OpenRoot(at)
}

// readPlain reads a file that a sandbox has left, which must not be a link.
func readPlain(name string) ([]byte, error) {
	st, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a plain file", filepath.Base(name))
	}
	return os.ReadFile(name)
}

func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}
