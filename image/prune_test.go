package image

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// entryOf makes an entry of so many bytes, used so long ago, which nobody uses.
func entryOf(t *testing.T, c *Cache, kind, hash string, size int, ago time.Duration) string {
	t.Helper()
	dir, made, err := c.Make(t.Context(), kind, hash, "it", quiet, func(tmp string) error {
		return os.WriteFile(filepath.Join(tmp, "data"), make([]byte, size), 0o644)
	})
	if err != nil || !made {
		t.Fatal(made, err)
	}
	c.Drop(kind, hash)
	at := time.Now().Add(-ago)
	if err := os.Chtimes(dir+".lock", at, at); err != nil {
		t.Fatal(err)
	}
	return dir
}

func hashes(all []Entry) string {
	var s []string
	for _, e := range all {
		s = append(s, e.Hash)
	}
	return strings.Join(s, " ")
}

func TestPruneTakesTheOldestThatNobodyUses(t *testing.T) {
	c := testCache(t)
	const size = 100 << 10
	entryOf(t, c, KindSnapshot, "aa", size, 3*time.Hour)
	entryOf(t, c, KindDisk, "bb", size, 4*time.Hour)
	entryOf(t, c, KindImage, "cc", size, time.Hour)
	entryOf(t, c, KindKernel, "dd", size, 2*time.Hour)
	other := New(c.dir, slog.New(slog.DiscardHandler))
	if _, err := other.Find(t.Context(), KindDisk, "bb"); err != nil { // which makes it the newest, too
		t.Fatal(err)
	}
	at := time.Now().Add(-5 * time.Hour)
	if err := os.Chtimes(filepath.Join(c.dir, KindDisk, "bb.lock"), at, at); err != nil {
		t.Fatal(err)
	}
	all, err := c.List()
	if err != nil || hashes(all) != "cc dd bb aa" {
		t.Fatalf("listed %q, %v", hashes(all), err)
	}
	for _, e := range all {
		if e.InUse != (e.Hash == "bb") || e.Bytes < size || e.Bytes > 2*size || e.Name != "it" {
			t.Errorf("listed %+v", e)
		}
	}
	removed, err := c.Prune(t.Context(), 2*all[0].Bytes+all[0].Bytes/2)
	if err != nil || hashes(removed) != "aa dd" {
		t.Errorf("removed %q, %v; want aa dd: bb is the oldest, but in use", hashes(removed), err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	removed, err = c.Prune(t.Context(), 0)
	if err != nil || hashes(removed) != "bb cc" {
		t.Errorf("removed %q, %v; want bb cc: nothing is in use", hashes(removed), err)
	}
	left, err := filepath.Glob(filepath.Join(c.dir, "*", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestUseIsNoted(t *testing.T) {
	c := testCache(t)
	entryOf(t, c, KindDisk, "aa", 1, time.Hour)
	entryOf(t, c, KindDisk, "bb", 1, 2*time.Hour)
	if _, err := c.Find(t.Context(), KindDisk, "bb"); err != nil {
		t.Fatal(err)
	}
	c.Drop(KindDisk, "bb")
	all, err := c.List()
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	removed, err := c.Prune(t.Context(), all[1].Bytes)
	if err != nil || hashes(removed) != "aa" {
		t.Errorf("removed %q, %v; bb was used a moment ago", hashes(removed), err)
	}
	if _, err := c.Find(t.Context(), KindDisk, "aa"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the entry that was pruned: %v", err)
	}
}

func TestSizesAreBlocks(t *testing.T) {
	c := testCache(t)
	if _, _, err := c.Make(t.Context(), KindDisk, "aa", "it", quiet, func(tmp string) error {
		return os.Truncate(mustCreate(t, filepath.Join(tmp, "sparse")), 1<<40)
	}); err != nil {
		t.Fatal(err)
	}
	all, err := c.List()
	if err != nil || len(all) != 1 || all[0].Bytes > 1<<20 {
		t.Errorf("a sparse file: %+v, %v", all, err)
	}
}

func mustCreate(t *testing.T, name string) string {
	t.Helper()
	write(t, name, "")
	return name
}

// TestOtherProcess: an entry that another process uses or makes is not pruned; when that is killed, it is, and what it
// was making goes.
func TestOtherProcess(t *testing.T) {
	if dir := os.Getenv("SAIGEN_IMAGE_HOLD"); dir != "" {
		c := New(dir, slog.New(slog.DiscardHandler))
		if _, err := c.Find(t.Context(), KindDisk, "aa"); err != nil {
			t.Fatal(err)
		}
		_, _, err := c.Make(t.Context(), KindSnapshot, "bb", "it", quiet, func(tmp string) error {
			write(t, filepath.Join(tmp, "half"), "")
			_, err := io.Copy(io.Discard, os.Stdin) // until it is killed; a program that waits for nothing at all is ended by Go
			return err
		})
		t.Fatal("it has been made: ", err)
	}
	c := testCache(t)
	entryOf(t, c, KindDisk, "aa", 1, time.Hour)
	other := exec.Command(os.Args[0], "-test.run=^TestOtherProcess$")
	other.Env = append(os.Environ(), "SAIGEN_IMAGE_HOLD="+c.dir, "TMPDIR="+t.TempDir()) // it is killed, and TestMain with it
	if _, err := other.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	half := func() bool {
		found, err := filepath.Glob(filepath.Join(c.dir, KindSnapshot, "bb.tmp-*", "half"))
		return err == nil && len(found) == 1
	}
	await(t, "the other process makes a snapshot", half)
	removed, err := c.Prune(t.Context(), 0)
	if err != nil || len(removed) != 0 || !half() {
		t.Errorf("while the other process lives, removed %q, %v", hashes(removed), err)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	removed, err = c.Prune(t.Context(), 0)
	if err != nil || hashes(removed) != "aa" || half() {
		t.Errorf("after its death, removed %q, %v; half a snapshot is left: %v", hashes(removed), err, half())
	}
}

// TestEmptiedByHand: a user may remove what he likes; who uses it finds out.
func TestEmptiedByHand(t *testing.T) {
	c := testCache(t)
	make := func() bool {
		t.Helper()
		_, made, err := c.Make(t.Context(), KindDisk, "aa", "it", quiet, func(string) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	if !make() || make() {
		t.Error("it is made once")
	}
	if err := os.RemoveAll(filepath.Join(c.dir, KindDisk, "aa")); err != nil {
		t.Fatal(err)
	}
	if !make() {
		t.Error("the folder was removed, and is not made again")
	}
	if err := os.RemoveAll(filepath.Join(c.dir, KindDisk)); err != nil {
		t.Fatal(err)
	}
	if !make() || make() {
		t.Error("all was removed, and is not made again once")
	}
}

func TestFailedMakeLeavesNothing(t *testing.T) {
	c := testCache(t)
	_, _, err := c.Make(t.Context(), KindSnapshot, "aa", "it", quiet, func(tmp string) error {
		write(t, filepath.Join(tmp, "ram"), "half")
		return errors.New("no space")
	})
	if err == nil || err.Error() != "no space" {
		t.Errorf("the error is %v", err)
	}
	left, err := filepath.Glob(filepath.Join(c.dir, "*", "*"))
	if err != nil || len(left) != 1 || filepath.Ext(left[0]) != ".lock" {
		t.Errorf("left: %v, %v", left, err)
	}
}
