package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
)

// Runs of one lab that end at once, each with an image that the others have not used: every one is in the lock, which is whole, and
// nothing else is in the lab's folder.
func TestLockOfManyRuns(t *testing.T) {
	dir := t.TempDir()
	const runs = 12
	var declared []lab.Image
	for i := range runs {
		declared = append(declared, lab.Image{Name: fmt.Sprintf("i%d", i), Debian: "bookworm"})
	}
	var all sync.WaitGroup
	for i := range runs {
		k := &lockKeeper{dir: dir, lock: &image.Lock{}, declared: declared, built: map[*lab.Lab][]image.Built{}}
		k.add(&lab.Lab{}, image.Built{Image: declared[i], Role: image.Machine, Packages: []image.Package{{Name: "p", Version: "1"}}})
		all.Go(func() {
			if err := k.save(false); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	lock, err := image.ReadLock(dir)
	if err != nil || len(lock.Images) != runs {
		t.Errorf("%d images are locked, not %d: %v", len(lock.Images), runs, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("in the folder: %v", files)
	}
	if half, _ := filepath.Glob(filepath.Join(dir, ".*")); len(half) != 0 {
		t.Errorf("left: %v", half)
	}
}
