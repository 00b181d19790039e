package image

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// moduleProxy serves modules from a folder: a lib in two versions, and one that needs the later of them.
func moduleProxy(t *testing.T) {
	t.Helper()
	proxy := t.TempDir()
	module := func(path, version, require, source string) {
		mod := fmt.Sprintf("module %s\n\ngo 1.21\n%s", path, require)
		var packed bytes.Buffer
		z := zip.NewWriter(&packed)
		for name, text := range map[string]string{"go.mod": mod, "lib.go": source} {
			w, err := z.Create(path + "@" + version + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(proxy, path, "@v", version)
		write(t, at+".mod", mod)
		write(t, at+".info", fmt.Sprintf(`{"Version": %q}`, version))
		write(t, at+".zip", packed.String())
	}
	module("example.com/lib", "v1.0.0", "", "package lib\n\nconst Version = \"one\"\n")
	module("example.com/lib", "v1.1.0", "", "package lib\n\nconst Version = \"one and more\"\n")
	module("example.com/late", "v1.0.0", "\nrequire example.com/lib v1.1.0\n", "package late\n\nimport \"example.com/lib\"\n\nconst Version = lib.Version\n")
	t.Setenv("GOPROXY", "file://"+proxy)
	t.Setenv("GONOSUMDB", "example.com")
}

// libProgram is a lab's folder with a program that imports a module.
func libProgram(t *testing.T, imported string) string {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "agent", "main.go"), "package main\n\nimport \"example.com/"+imported+"\"\n\nfunc main() { print("+imported+".Version) }\n")
	write(t, filepath.Join(dir, "agent", "go.mod"), "module agent\n\ngo 1.21\n\nrequire (\n\texample.com/lib v1.1.0\n\texample.com/late v1.0.0\n)\n\nreplace example.com/lib => ../elsewhere\n")
	return dir
}

func TestGoModules(t *testing.T) {
	moduleProxy(t)
	dir := libProgram(t, "lib")
	before := read(t, filepath.Join(dir, "agent", "go.mod"))
	c := goCache(t)
	hashes := map[string]string{}
	lock := &Lock{}
	for version, prints := range map[string]string{"v1.0.0": "one", "v1.1.0": "one and more"} {
		b, err := c.Build(t.Context(), lab.Image{Name: "agent", Go: "agent", Modules: map[string]string{"example.com/lib": version}}, Service, dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := hashes[b.Hash]; ok {
			t.Errorf("%s has the hash of %s", version, other)
		}
		hashes[b.Hash] = version
		if want := (Package{Name: "example.com/lib", Version: version, From: "go"}); len(b.Packages) != 2 || b.Packages[1] != want {
			t.Errorf("%s: the image has %v", version, b.Packages)
		}
		if out := runs(t, b.Tar, "app"); out != prints {
			t.Errorf("%s: the program prints %q", version, out)
		}
		if lock.Has(b) || !lock.Update(b) || len(lock.Drift(b)) > 0 {
			t.Errorf("%s: the lock knows it before, or not after", version)
		}
	}
	if got := read(t, filepath.Join(dir, "agent", "go.mod")); string(got) != string(before) {
		t.Errorf("the lab's go.mod is now\n%s", got)
	}
}

func TestGoModulesThatCannotBe(t *testing.T) {
	moduleProxy(t)
	for _, c := range []struct {
		imported string
		modules  map[string]string
		sum      string
		want     string
	}{
		{"late", map[string]string{"example.com/lib": "v1.0.0"}, "", "contains example.com/lib v1.1.0, not v1.0.0: another of its modules needs the later version"},
		{"lib", map[string]string{"example.com/lib": "v1.1.0", "example.com/late": "v1.0.0"}, "", "does not contain example.com/late"},
		{"lib", map[string]string{"example.com/lib": "v1.2.0"}, "", "v1.2.0"},
		{"lib", map[string]string{"example.com/lib": "v1.1.0"}, "example.com/lib v1.1.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", "SECURITY ERROR"},
	} {
		dir := libProgram(t, c.imported)
		if c.sum != "" {
			write(t, filepath.Join(dir, "agent", "go.sum"), c.sum)
		}
		_, err := goCache(t).Build(t.Context(), lab.Image{Name: "agent", Go: "agent", Modules: c.modules}, Service, dir, quiet)
		if err == nil || !strings.Contains(err.Error()+tailOf(err), c.want) {
			t.Errorf("%s with %v: %v, want %q", c.imported, c.modules, err, c.want)
		}
	}
	dir := goLab(t)
	_, err := goCache(t).Build(t.Context(), lab.Image{Name: "app", Go: "app", Modules: map[string]string{"example.com/lib": "v1.0.0"}}, Service, dir, quiet)
	if err == nil || !strings.Contains(err.Error(), "app has no go.mod") {
		t.Errorf("without go.mod: %v", err)
	}
}

// runs runs a program out of a root filesystem, and returns what it prints.
func runs(t *testing.T, rootfs, name string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(bin, unpacked(t, rootfs)[name], 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), bin).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func tailOf(err error) string {
	if in, ok := errors.AsType[*lab.InfraError](err); ok {
		return in.Tail
	}
	return ""
}
