package image

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// goToolchain is the host's Go, and where the user has it get modules from.
type goToolchain struct {
	Root    string `json:"GOROOT"`
	Version string `json:"GOVERSION"`
	Proxy   string `json:"GOPROXY"`
	NoProxy string `json:"GONOPROXY"`
	SumDB   string `json:"GOSUMDB"`
	NoSumDB string `json:"GONOSUMDB"`
}

// findGo asks the host's go command, with the user's own settings, in a folder that is no lab's.
func findGo(ctx context.Context) (goToolchain, error) {
	var g goToolchain
	var out strings.Builder
	env := append(os.Environ(), "GOTOOLCHAIN=local", "GOFLAGS=", "GOWORK=off")
	argv := []string{"go", "env", "-json", "GOROOT", "GOVERSION", "GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB"}
	if _, err := (command{argv: argv, dir: "/", env: env, log: &out}).run(ctx); err != nil {
		return g, err
	}
	_, answer, _ := strings.Cut(out.String(), "{") // after warnings, if any
	if err := json.Unmarshal([]byte("{"+answer), &g); err != nil {
		return g, fmt.Errorf("go env printed %q: %v", out.String(), err)
	}
	if !strings.HasPrefix(g.Version, "go") && !strings.HasPrefix(g.Version, "devel") {
		return g, fmt.Errorf("go says that its version is %q", g.Version)
	}
	return g, nil
}

// proxies are the user's module proxies. "direct" is not among them: a module's path, which the lab says, would then be an
// address that this host connects to, and git what it is asked with. file are those that are folders of the host.
func (g goToolchain) proxies() (all string, file []string) {
	rest := g.Proxy
	for rest != "" {
		i := strings.IndexAny(rest, ",|")
		one, separator := rest, ""
		if i >= 0 {
			one, separator, rest = rest[:i], rest[i:i+1], rest[i+1:]
		} else {
			rest = ""
		}
		if one = strings.TrimSpace(one); one == "" || one == "direct" {
			continue
		}
		if folder, ok := strings.CutPrefix(one, "file://"); ok {
			file = append(file, folder)
		}
		all += one + separator
	}
	return strings.TrimRight(all, ",|"), file
}

// files are the files and folders of the host that the toolchain consists of. Debian's GOROOT has links to folders
// elsewhere, and its go command needs the C library.
func (g goToolchain) files() ([]string, error) {
	all := []string{g.Root}
	for _, folder := range []string{g.Root, filepath.Join(g.Root, "pkg")} {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if e.Type()&os.ModeSymlink == 0 {
				continue
			}
			if to, err := filepath.EvalSymlinks(filepath.Join(folder, e.Name())); err == nil && to != g.Root {
				all = append(all, to)
			}
		}
	}
	libraries, err := librariesOf(g.command())
	return append(all, libraries...), err
}

func (g goToolchain) command() string { return filepath.Join(g.Root, "bin", "go") }

// librariesOf returns the dynamic linker of a program and the libraries that it loads; none of a static one. The libraries' own
// libraries are not looked up: the C library has none.
func librariesOf(program string) ([]string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var all []string
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name, err := io.ReadAll(io.LimitReader(p.Open(), 4096))
			if err != nil {
				return nil, err
			}
			all = append(all, strings.TrimRight(string(name), "\x00"))
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	names, err := f.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		var found []string
		for _, folder := range []string{"/lib/*-linux-gnu*", "/usr/lib/*-linux-gnu*", "/lib64", "/usr/lib64", "/lib", "/usr/lib"} {
			more, err := filepath.Glob(filepath.Join(folder, filepath.Base(name)))
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("cannot find the library %s of %s", name, program)
		}
		all = append(all, found[0])
	}
	return all, nil
}

// environment is what the go command sees in the sandbox: nothing of the user's.
func (g goToolchain) environment(more ...string) []string {
	env := []string{ // without HOME there is no telemetry, and no settings
		"PATH=" + filepath.Join(g.Root, "bin"), "TMPDIR=/tmp", "LANG=C.UTF-8", "GOROOT=" + g.Root,
		"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + runtime.GOARCH, "GOFLAGS=-trimpath", "GOWORK=off", "GOENV=off",
		"GOTOOLCHAIN=local", // a go.mod's toolchain line is no program to download and run
		"GOVCS=*:off",       // nor is a module's address one for git
		"GOMODCACHE=/modules", "GOPATH=/tmp/go", "GODEBUG=netdns=go", fmt.Sprintf("GOMAXPROCS=%d", min(8, runtime.NumCPU())),
	}
	return append(env, more...)
}

// online is what the go command needs besides to get modules, from where the user has it get them.
func (g goToolchain) online() ([]string, error) {
	from, _ := g.proxies()
	if from == "" {
		return nil, errors.New("modules come from a module proxy only, and GOPROXY names none but \"direct\"; set it, or put the modules into the folder with \"go mod vendor\"")
	}
	env := []string{"GOPROXY=" + from, "GONOPROXY=" + g.NoProxy, "GOSUMDB=" + g.SumDB, "GONOSUMDB=" + g.NoSumDB}
	return append(env, proxies()...), nil
}

// certificates are the authorities that the user's programs trust, as one file.
func certificates() ([]byte, error) {
	var names []string
	if name := os.Getenv("SSL_CERT_FILE"); name != "" {
		names = append(names, name)
	} else {
		names = append(names, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem")
		names = slices.DeleteFunc(names, func(n string) bool { _, err := os.Stat(n); return err != nil })
		names = names[:min(1, len(names))]
	}
	var all []byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(append(all, data...), '\n')
	}
	return all, nil
}
