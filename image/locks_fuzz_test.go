package image

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzNPMLock holds that no package-lock.json names a package whose folder is outside of the project, whose parts of an address are not
// plain, or whose contents could not be checked.
func FuzzNPMLock(f *testing.F) {
	const pkg = `{"name":"site","dependencies":{"vue":"2.6.14"}}`
	sum := "sha512-" + strings.Repeat("A", 86) + "=="
	for _, s := range []string{
		`{"lockfileVersion":3,"packages":{"":{"name":"site","dependencies":{"vue":"2.6.14"}},"node_modules/vue":{"version":"2.6.14","integrity":"` + sum + `"}}}`,
		`{"lockfileVersion":2,"packages":{"node_modules/../../x":{"version":"1"},"node_modules/a/node_modules/@b/c":{"version":"1.0.0","integrity":"` + sum + `"}}}`,
		`{"lockfileVersion":3,"packages":{"a/node_modules/x":{"link":true,"resolved":"../.."},"node_modules/y":{"os":"darwin","optional":true}}}`,
		`{"lockfileVersion":3,"packages":{"node_modules/":{"version":"1.0.0","integrity":"` + sum + `"}}}`, `{"lockfileVersion":3,"packages":null}`, `null`, `[]`, ``,
	} {
		f.Add([]byte(s), []byte(pkg))
	}
	f.Fuzz(func(t *testing.T, lock, project []byte) {
		all, projects, err := readNPMLock(map[string][]byte{"package-lock.json": lock, "package.json": project})
		if err != nil {
			return
		}
		for _, p := range all {
			p.direct(projects)
			if !filepath.IsLocal(p.folder) || path.Clean(p.folder) != p.folder || !strings.Contains(p.folder, "node_modules/") {
				t.Errorf("a package is in %q", p.folder)
			}
			if strings.Contains(p.name, "..") || strings.ContainsAny(p.name+p.version, "?#%\\ \n") {
				t.Errorf("a package is called %q, %q", p.name, p.version)
			}
			if p.link == "" && len(p.sha512) != 128 {
				t.Errorf("%s has the sum %q", p.folder, p.sha512)
			}
		}
	})
}

// FuzzReadLock holds that no lock of a lab makes saigen panic, and that a lock that is read and written says the same.
func FuzzReadLock(f *testing.F) {
	for _, s := range []string{
		`{"images":[{"name":"host","debian":"bookworm","packages":{"podman":"4.3.1"}}]}`, `{"images":[null,{}]}`, `null`, `{"images":{}}`, ``, `{"version":99}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, LockName), data, 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := ReadLock(dir)
		if err != nil || l == nil {
			return
		}
		if err := l.Write(dir); err != nil {
			t.Fatal(err)
		}
		once, err := os.ReadFile(filepath.Join(dir, LockName))
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadLock(dir)
		if err != nil {
			t.Fatalf("%q was written, and cannot be read: %v", once, err)
		}
		again.Keep(nil)
		if len(again.Images) != 0 {
			t.Errorf("of no images %d are kept", len(again.Images))
		}
		if err := l.Write(dir); err != nil {
			t.Fatal(err)
		}
		if twice, err := os.ReadFile(filepath.Join(dir, LockName)); err != nil || string(twice) != string(once) {
			t.Errorf("%q was written, and then %q: %v", once, twice, err)
		}
	})
}
