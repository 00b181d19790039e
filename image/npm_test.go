package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// fakeNPM is a registry below a path, as mirrors are.
type fakeNPM struct {
	mu       sync.Mutex
	tarballs map[string][]byte // by path
	asked    []string
	answer   func(w http.ResponseWriter, r *http.Request) bool // before the tarballs; may be nil
}

func npmServer(t *testing.T) *fakeNPM {
	t.Helper()
	f := &fakeNPM{tarballs: map[string][]byte{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asked = append(f.asked, r.URL.Path)
		if f.answer != nil && f.answer(w, r) {
			return
		}
		data, ok := f.tarballs[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(server.Close)
	t.Setenv("NPM_CONFIG_REGISTRY", server.URL+"/mirror")
	return f
}

// publish puts a package into the registry and returns its integrity.
func (f *fakeNPM) publish(t *testing.T, path string, entries ...tar.Header) string {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, h := range entries {
		h.Size = int64(len(h.Name))
		if h.Mode == 0 {
			h.Mode = 0o600
		}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag != tar.TypeReg {
			h.Size = 0
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte(h.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	f.tarballs[path] = out.Bytes()
	sum := sha512.Sum512(out.Bytes())
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func writeJSONTo(t *testing.T, name string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	write(t, name, string(data))
}

type object = map[string]any

// site is a lab with a project whose lock has the packages.
func site(t *testing.T, dependencies object, packages object) string {
	t.Helper()
	dir := t.TempDir()
	writeJSONTo(t, filepath.Join(dir, "site", "package.json"), object{"name": "site", "dependencies": dependencies})
	all := object{"": object{"name": "site", "dependencies": dependencies}}
	maps.Copy(all, packages)
	writeJSONTo(t, filepath.Join(dir, "site", "package-lock.json"), object{"lockfileVersion": 3, "packages": all})
	return dir
}

func buildSite(t *testing.T, c *Cache, dir string, say Say) (Built, error) {
	t.Helper()
	img := lab.Image{Name: "site", Debian: "bookworm"}
	debianInCache(t, c, img, Service)
	img.NPM = "site"
	return c.Build(t.Context(), img, Service, dir, say)
}

func TestNPM(t *testing.T) {
	f := npmServer(t)
	vue := f.publish(t, "/mirror/vue/-/vue-2.6.14.tgz",
		tar.Header{Name: "package/package.json"}, tar.Header{Name: "package/dist/./vue.js"}, tar.Header{Name: "package/dist/vue.js"}, tar.Header{Name: "package/bin/run.sh", Mode: 0o755})
	core := f.publish(t, "/mirror/@babel/core/-/core-7.0.0.tgz", tar.Header{Name: "core/cli.js"}, tar.Header{Name: "core/", Typeflag: tar.TypeDir})
	old := f.publish(t, "/mirror/real-name/-/real-name-1.0.0.tgz", tar.Header{Name: "package/index.js"})
	dir := site(t, object{"vue": "2.6.14"}, object{
		"node_modules/vue":                             object{"version": "2.6.14", "integrity": "sha1-AAAA " + vue, "resolved": "https://registry.example/vue/-/vue-2.6.14.tgz", "bin": object{"run": "bin/run.sh"}},
		"node_modules/@babel/core":                     object{"version": "7.0.0", "integrity": core, "dev": true, "bin": object{"babel": "./cli.js", "none": "missing.js"}, "hasInstallScript": true},
		"node_modules/@babel/core/node_modules/alias":  object{"version": "1.0.0", "integrity": old, "name": "real-name", "os": []string{"!win32"}, "cpu": "any"},
		"node_modules/fsevents":                        object{"version": "1.0.0", "integrity": vue, "optional": true, "os": []string{"darwin"}},
		"node_modules/fsevents/node_modules/nan":       object{"version": "1.0.0", "integrity": vue, "optional": true},
		"node_modules/vue/node_modules/in-its-tarball": object{"version": "1.0.0", "inBundle": true},
		"node_modules/part":                            object{"resolved": "parts/one", "link": true},
		"parts/one":                                    object{"bin": object{"one": "one.js"}},
	})
	write(t, filepath.Join(dir, "site", "parts", "one", "package.json"), "{}")
	write(t, filepath.Join(dir, "site", "parts", "one", "one.js"), "")
	write(t, filepath.Join(dir, "site", "node_modules", "vue", "local.js"), "what the author has installed")
	var said []string
	c := testCache(t)
	b, err := buildSite(t, c, dir, func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
	if err != nil {
		t.Fatal(err)
	}
	files := unpacked(t, b.Tar)
	var got []string
	for name, data := range files {
		if rest, ok := strings.CutPrefix(name, "srv/site/"); ok && len(data) > 0 && !strings.Contains(rest, "json") {
			got = append(got, rest+" "+string(data))
		}
	}
	slices.Sort(got)
	want := []string{
		"node_modules/.bin/babel ../@babel/core/cli.js",
		"node_modules/.bin/one ../part/one.js",
		"node_modules/.bin/run ../vue/bin/run.sh",
		"node_modules/@babel/core/cli.js core/cli.js",
		"node_modules/@babel/core/node_modules/alias/index.js package/index.js",
		"node_modules/part ../parts/one",
		"node_modules/vue/bin/run.sh package/bin/run.sh",
		"node_modules/vue/dist/vue.js package/dist/vue.js",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the image has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	modes := map[string]int64{}
	for r := tar.NewReader(bytes.NewReader(read(t, b.Tar))); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		modes[clean(h.Name)] = h.Mode
	}
	for name, mode := range map[string]int64{"vue/bin/run.sh": 0o755, "vue/dist/vue.js": 0o644, "@babel/core/cli.js": 0o755} {
		if got := modes["srv/site/node_modules/"+name]; got != mode {
			t.Errorf("%s has mode %o", name, got)
		}
	}
	var npm []string
	for _, p := range b.Packages {
		if p.From == "npm" {
			npm = append(npm, p.Name+" "+p.Version)
		}
	}
	if s := strings.Join(npm[1:], ", "); s != "@babel/core 7.0.0, @babel/core > alias 1.0.0, vue 2.6.14" || !strings.HasPrefix(npm[0], "package-lock.json sha256:") {
		t.Errorf("the image says that it has %v", npm)
	}
	if text := strings.Join(said, "\n"); !strings.Contains(text, "warning: the npm package @babel/core 7.0.0 has an install script, which is not run") {
		t.Errorf("nothing is said of the install script:\n%s", text)
	}
	if len(f.asked) != 3 {
		t.Errorf("the registry was asked for %v", f.asked)
	}
	write(t, filepath.Join(dir, "site", "page.vue"), "another image")
	if again, err := buildSite(t, c, dir, quiet); err != nil || again.Hash == b.Hash || len(f.asked) != 3 {
		t.Errorf("another image of the same packages: %v, the registry was asked for %v", err, f.asked)
	}
}

func TestNPMThatCannotBe(t *testing.T) {
	f := npmServer(t)
	good := f.publish(t, "/mirror/a/-/a-1.0.0.tgz", tar.Header{Name: "package/index.js"})
	evil := map[string]string{}
	for name, h := range map[string]tar.Header{
		"up":       {Name: "package/../../../etc/passwd"},
		"absolute": {Name: "/etc/passwd"},
		"symlink":  {Name: "package/x", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		"hardlink": {Name: "package/x", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"},
		"device":   {Name: "package/x", Typeflag: tar.TypeChar},
		"flat":     {Name: "index.js"},
	} {
		evil[name] = f.publish(t, "/mirror/"+name+"/-/"+name+"-1.0.0.tgz", h)
	}
	locked := func(name, sum string) object {
		return object{"node_modules/" + name: object{"version": "1.0.0", "integrity": sum}}
	}
	for name, c := range map[string]struct {
		packages object
		want     string
	}{
		"no integrity":     {object{"node_modules/a": object{"version": "1.0.0"}}, "node_modules/a: it has no integrity of sha512"},
		"sha1 only":        {locked("a", "sha1-VeLs0ldUFfRPqAdA6nd7t6pZq6Y="), "it has no integrity of sha512"},
		"short sum":        {locked("a", "sha512-AAAA"), "is no sum of sha512"},
		"another":          {locked("a", evil["up"]), "is not what package-lock.json says: its sha512 is "},
		"missing":          {locked("b", good), "cannot get the npm package b 1.0.0: "},
		"climbing name":    {object{"node_modules/a": object{"name": "../../admin", "version": "1.0.0", "integrity": good}}, "is no name of a package"},
		"climbing version": {object{"node_modules/a": object{"version": "1/../../../x", "integrity": good}}, "no version"},
		"climbing file":    {object{"node_modules/a": object{"version": "1.0.0", "integrity": good, "resolved": "https://r.test/a/-/.."}}, "is no file of a registry"},
		"git":              {object{"node_modules/a": object{"version": "1.0.0", "integrity": good, "resolved": "git+ssh://git@example.org/a.git#abc"}}, "saigen installs from a registry only"},
		"file":             {object{"node_modules/a": object{"version": "1.0.0", "integrity": good, "resolved": "file:../../a.tgz"}}, "saigen installs from a registry only"},
		"link out":         {object{"node_modules/a": object{"resolved": "../a", "link": true}, "../a": object{}}, "package.json"},
		"link nowhere":     {object{"node_modules/a": object{"resolved": "a", "link": true}}, "which is no part of the project"},
		"folder out":       {object{"../node_modules/a": object{"version": "1.0.0", "integrity": good}}, "that is no folder of a package"},
		"folder .bin":      {object{"node_modules/.bin": object{"version": "1.0.0", "integrity": good}}, "that is no folder of a package"},
		"bin out":          {object{"node_modules/a": object{"version": "1.0.0", "integrity": good, "bin": object{"a": "../../a"}}}, "which is not in the package"},
		"mac only":         {object{"node_modules/a": object{"version": "1.0.0", "integrity": good, "os": "darwin"}}, "runs on [darwin]"},
		"up":               {locked("up", evil["up"]), "is not in the package's folder"},
		"absolute":         {locked("absolute", evil["absolute"]), "is not in the package's folder"},
		"symlink":          {locked("symlink", evil["symlink"]), "is no plain file"},
		"hardlink":         {locked("hardlink", evil["hardlink"]), "is no plain file"},
		"device":           {locked("device", evil["device"]), "is no plain file"},
		"flat":             {locked("flat", evil["flat"]), "is not in the package's folder"},
	} {
		_, err := buildSite(t, testCache(t), site(t, object{}, c.packages), quiet)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for name, c := range map[string]struct{ lock, want string }{
		"old":     {`{"lockfileVersion": 1}`, "package-lock.json is of version 1"},
		"no JSON": {`{`, "cannot read package-lock.json"},
		"other":   {`{"lockfileVersion": 3, "packages": {"": {"dependencies": {"vue": "2.7"}}}}`, "was made of another package.json"},
	} {
		dir := site(t, object{"vue": "2.6"}, nil)
		write(t, filepath.Join(dir, "site", "package-lock.json"), c.lock)
		if _, err := buildSite(t, testCache(t), dir, quiet); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestNPMDownload(t *testing.T) {
	f := npmServer(t)
	sum := f.publish(t, "/mirror/a/-/a-1.0.0.tgz", tar.Header{Name: "package/index.js"})
	p, err := npmLocked{Version: "1.0.0", Integrity: sum}.resolve("node_modules/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	from, err := testCache(t).tarballs(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	from.retry = time.Millisecond
	failures := 2
	f.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		if failures--; failures >= 0 {
			http.Error(w, "later", http.StatusServiceUnavailable)
		}
		return failures >= 0
	}
	if _, fresh, err := from.get(t.Context(), p); err != nil || !fresh || len(f.asked) != 3 {
		t.Errorf("the third try: %v, fresh %v, asked %v", err, fresh, f.asked)
	}
	name := filepath.Join(from.dir, p.sha512+".tgz")
	write(t, name, "damaged")
	if _, fresh, err := from.get(t.Context(), p); err != nil || !fresh || len(read(t, name)) < 100 {
		t.Errorf("a damaged tarball in the cache: %v, fresh %v", err, fresh)
	}
	f.answer = func(w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }
	f.asked, p.sha512 = nil, strings.Repeat("0", 128)
	if _, _, err := from.get(t.Context(), p); err == nil || len(f.asked) != 1 {
		t.Errorf("what is not there is asked for %d times: %v", len(f.asked), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := from.fetch(ctx, []npmPackage{p}, quiet); err == nil {
		t.Error("a download that was stopped is no error")
	}
}

func TestNPMRegistry(t *testing.T) {
	home, root := t.TempDir(), t.TempDir()
	ask := func(environ ...string) string {
		u, err := npmRegistry(environ, home, root)
		if err != nil {
			return err.Error()
		}
		return u.String()
	}
	if got := ask("PATH=/bin"); got != npmDefault {
		t.Errorf("by default: %s", got)
	}
	write(t, filepath.Join(root, "etc", "npmrc"), "cafile=/x\nregistry=https://host.example/\n")
	if got := ask(); got != "https://host.example/" {
		t.Errorf("the host's: %s", got)
	}
	write(t, filepath.Join(home, ".npmrc"), "; registry = https://no.example\n registry = \"https://user.example/npm/\"\n@scope:registry=https://scope.example\n")
	if got := ask("npm_config_registry="); got != "https://user.example/npm/" {
		t.Errorf("the user's: %s", got)
	}
	if got := ask("NPM_CONFIG_REGISTRY=http://env.example"); got != "http://env.example" {
		t.Errorf("the environment's: %s", got)
	}
	write(t, filepath.Join(home, "other"), "registry=file:///etc\n")
	if got := ask("npm_config_userconfig=" + filepath.Join(home, "other")); !strings.Contains(got, "is no http address") {
		t.Errorf("a file: %s", got)
	}
}

func TestNPMLists(t *testing.T) {
	for _, c := range []struct {
		list npmList
		want bool
	}{
		{nil, true}, {npmList{"linux"}, true}, {npmList{"darwin", "linux"}, true}, {npmList{"!win32"}, true}, {npmList{"any"}, true},
		{npmList{"darwin"}, false}, {npmList{"!linux"}, false}, {npmList{"!linux", "linux"}, false}, {npmList{"!win32", "darwin"}, false},
	} {
		if got := c.list.allows("linux"); got != c.want {
			t.Errorf("%v allows linux: %v", c.list, got)
		}
	}
}
