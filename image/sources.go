package image

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Bounds of a folder of the lab that goes into an image: a folder that is larger was not meant.
const (
	mostSources = 10_000
	mostBytes   = 64 << 20
)

// readFolder reads every file of a folder of the lab, in order, but what skip says of its name. A symlink is refused: it
// could lead out of the lab.
func readFolder(folder string, skip func(name string, folder bool) bool) ([]file, error) {
	var all []file
	size := 0
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		switch {
		case rel != "." && skip(d.Name(), d.IsDir()):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is not a plain file", rel)
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		one := file{name: filepath.ToSlash(rel), mode: 0o644, data: data}
		if st.Mode()&0o111 != 0 {
			one.mode = 0o755
		}
		all = append(all, one)
		if size += len(data); size > mostBytes || len(all) > mostSources {
			return fmt.Errorf("the folder holds more than %d MiB or %d files; is it the right one?", mostBytes>>20, mostSources)
		}
		return nil
	})
	return all, err
}

func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}
