package ledger

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzOpen holds that from no file whatever a ledger cannot be opened, that every whole and readable line of it counts,
// and that what is recorded afterwards is read again.
func FuzzOpen(f *testing.F) {
	whole := `{"run":"r1"}` + "\n" + `{"kind":"note","path":"a"}` + "\n" + `{"kept":true}` + "\n" + `{"kind":"cgroup","path":"saigen/r1"}` + "\n"
	for n := range len(whole) + 1 {
		f.Add([]byte(whole[:n])) // torn at every byte
	}
	for _, s := range []string{"\n\n", "null\n", "[]\n", "{}\n", `{"run":"r1"` + "\x00\x00\x00\n", `{"kind":"no{"kind":"note"}` + "\n", "\x00\x00\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		name := filepath.Join(dir, fileName)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var undone []string
		l, err := Open(dir, "r1", noted(&undone, nil))
		if err != nil {
			t.Fatal(err)
		}
		before := parse(data)
		record(t, l, "new")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		now, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(now, data[:before.whole]) {
			t.Errorf("%q became %q", data, now)
		}
		after := parse(now)
		if want := len(before.entries) + 1; len(after.entries) != want || after.entries[want-1].Path != "new" || len(after.damaged) != len(before.damaged) || after.whole != len(now) {
			t.Errorf("of %q %+v is read, then %+v", data, before, after)
		}
	})
}
