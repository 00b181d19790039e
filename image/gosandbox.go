package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// goSandbox compiles a Go program of a lab. See sandbox.go.
//
// Two caches stay, both of them saigen's own: modules as the proxy gave them and go.sum or the checksum database confirmed
// them, and the standard library, compiled where nothing of a lab is. The compiler of the lab's source sees the first read-only and a
// copy of the second: whatever it does, it changes nothing that another build uses.
type goSandbox struct {
	program *goProgram
	tmp     string // a folder for src, the source as it is to be built, which becomes bin
}

func (s goSandbox) at(name string) string { return filepath.Join(s.tmp, name) }

const (
	goTime      = 15 * time.Minute // of all steps together
	goModules   = 4 << 30          // bytes that modules may add to the cache in one build
	goWritten   = 2 << 30          // bytes that a build may write, besides modules
	goFile      = 1 << 30          // bytes of one file
	goMemory    = 8 << 30          // bytes of addresses of one process; Go reserves more than it uses
	goProcesses = 8192             // of nobody on this host, threads included: eight compilers side by side have some hundred
)

// The three steps, each in a sandbox of its own.
const (
	goBegins = `
memory "$root" "$written" 755
null
toolchain
cp -R "$tmp/etc" "$root/etc"
for f in source tmp cache modules out std; do install -d -o 65534 -g 65534 "$root/$f"; done
cached() { # cached NAME OPTIONS: a folder that stays
	install -d -m 777 "$kept/$1"
	mount --bind "$kept/$1" "$root/$1"
	mount -o "remount,bind,nosuid,nodev$2" "$root/$1"
}
source() {
	cp -R "$tmp/src/." "$root/source"
	chown -R 65534:65534 "$root/source"
	folder=/source
}
`
	// goModulesScript gets modules, and says what of the standard library the program needs.
	goModulesScript = goBegins + `
source
proxies
cached modules ""
edit
inside "$network" "$go" list $mod -deps -f '{{if .Standard}}{{.ImportPath}}{{end}}' . >"$tmp/list"
for f in go.mod go.sum; do
	[ ! -e "$root/source/$f" ] || cp --no-dereference "$root/source/$f" "$tmp/src/$f"
done
`
	// goStandardScript compiles the standard library. Nothing of a lab is there.
	goStandardScript = goBegins + `
cached std ""
folder=/tmp
build
`
	// goCompileScript compiles the program. What is in the copy of the cache counts only when it is whole, and another build may be
	// writing there: what is not copied is compiled again.
	goCompileScript = goBegins + `
source
cached modules ,ro
cp -R --preserve=mode,ownership,timestamps "$kept/std/." "$root/cache" || :
build
cp --no-dereference "$root/out/app" "$tmp/bin"
`
)

// standardForm is a package of the standard library that a program may name; the others come with those.
var standardForm = regexp.MustCompile(`^[a-z][a-z0-9]*(/[a-z0-9]+)*$`)

// run makes bin of src.
func (s goSandbox) run(ctx context.Context, log io.Writer, say Say) error {
	p, g := s.program, s.program.toolchain
	kept, err := p.cache.goCache(ctx, say)
	if err != nil {
		return err
	}
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(goTime, func() { cancel(fmt.Errorf("it took more than %s", goTime)) })
	defer timer.Stop()
	step := func(text string, environment []string, functions ...string) error {
		script, err := s.script(kept, text, environment, functions...)
		if err != nil {
			return err
		}
		env := []string{"PATH=" + os.Getenv("PATH") + ":" + sbin}
		_, err = command{argv: []string{"sh", "-c", script}, dir: "/", env: env, mapped: true, log: log, line: watchSize(filepath.Join(kept, "modules"), goModules, cancel)}.run(limited)
		if err != nil && ctx.Err() == nil && limited.Err() != nil {
			return context.Cause(limited)
		}
		return err
	}

	environment, files, network, mod := []string{"GOPROXY=off"}, []string(nil), "--net", ""
	if s.downloads() {
		say("getting the modules of %s", p.path)
		if environment, err = g.online(); err != nil {
			return err
		}
		_, files = g.proxies()
		network = "--uts"
	}
	if err := s.settings(network != "--net"); err != nil {
		return err
	}
	edit := []string{":"}
	if len(p.modules) > 0 {
		mod = "-mod=mod"
		edit = []string{"inside", "--net", g.command(), "mod", "edit"}
		for _, m := range p.chosen() {
			path, _, _ := strings.Cut(m, "@")
			edit = append(edit, "-dropreplace="+path, "-require="+m)
		}
	}
	err = step(goModulesScript, append(environment, "GOCACHE=/cache"),
		function("edit", edit...), "network="+network, "mod="+mod, function("proxies", append([]string{"shows"}, files...)...))
	if err != nil {
		return err
	}
	standard, err := s.standard()
	if err != nil {
		return err
	}
	build := append([]string{"inside", "--net", g.command(), "build"}, standard...)
	if err := step(goStandardScript, []string{"GOPROXY=off", "GOCACHE=/std"}, function("build", build...)); err != nil {
		return fmt.Errorf("the standard library: %w", err)
	}
	build = append([]string{"inside", "--net", g.command()}, p.arguments("/out/app")[1:]...)
	return step(goCompileScript, []string{"GOPROXY=off", "GOCACHE=/cache"}, function("build", build...))
}

// watchSize returns a function that command calls every second. When a folder has grown by more than most bytes, it cancels.
func watchSize(folder string, most int64, cancel context.CancelCauseFunc) func(string) {
	began, looked := int64(-1), time.Now()
	return func(line string) {
		if line != "" || time.Since(looked) < 3*time.Second {
			return
		}
		looked = time.Now()
		size, err := diskUse(folder)
		if err != nil {
			return // it is being written to; the next look will tell
		}
		if began < 0 {
			began = size
		}
		if size-began > most {
			cancel(fmt.Errorf("it has got more than %d GiB of modules", most>>30))
		}
	}
}

// standard is what of the standard library the program needs.
func (s goSandbox) standard() ([]string, error) {
	data, err := readPlain(s.at("list"))
	if err != nil {
		return nil, err
	}
	var all []string
	for _, name := range strings.Fields(string(data)) {
		parts := strings.Split(name, "/")
		if standardForm.MatchString(name) && name != "unsafe" && !slices.Contains(parts, "internal") && !slices.Contains(parts, "vendor") {
			all = append(all, name)
		}
	}
	return all, nil
}

// goCache is the folder of what is kept between builds. Only who owns the cache can go into it: what is in it
// belongs to nobody, and nobody is not only a sandbox.
func (c *Cache) goCache(ctx context.Context, say Say) (string, error) {
	const only = "676f000000000000000000000000000000000000000000000000000000000000" // there is one of its kind
	dir, _, err := c.Make(ctx, KindGo, only, "Go modules and standard library", say, func(string) error { return nil })
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o700)
}

// script is a step's script.
func (s goSandbox) script(kept, text string, environment []string, more ...string) (string, error) {
	g := s.program.toolchain
	files, err := g.files()
	if err != nil {
		return "", err
	}
	root := s.at("root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	script := sandboxScript + with(g.environment(environment...)) + function("toolchain", append([]string{"shows"}, files...)...)
	for _, v := range [][2]string{
		{"root", root}, {"tmp", s.tmp}, {"kept", kept}, {"go", g.command()}, {"written", fmt.Sprint(goWritten)},
		{"limits", rlimits(uint64(goTime.Seconds()), goFile, goMemory, goProcesses)},
	} {
		script += v[0] + "=" + quoted(v[1]) + "\n"
	}
	return script + strings.Join(more, "\n") + text, nil
}

// downloads says whether modules are needed that are not in the folder.
func (s goSandbox) downloads() bool {
	needs := false
	for _, f := range s.program.sources {
		if f.name == "vendor/modules.txt" {
			return len(s.program.modules) > 0
		}
		needs = needs || f.name == "go.mod" && bytes.Contains(f.data, []byte("require"))
	}
	return needs
}

// settings writes what is in the sandbox's /etc: how to reach a proxy, when one is to be reached.
func (s goSandbox) settings(online bool) error {
	etc := map[string][]byte{"passwd": []byte("nobody:x:65534:65534:nobody:/tmp:/bin/false\n")}
	if online {
		for _, name := range []string{"resolv.conf", "hosts"} {
			data, err := os.ReadFile(filepath.Join("/etc", name))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			etc[name] = data
		}
		trusted, err := certificates()
		if err != nil {
			return err
		}
		etc["ssl/certs/ca-certificates.crt"] = trusted
	}
	for name, data := range etc {
		if err := writeFile(filepath.Join(s.at("etc"), name), data); err != nil {
			return err
		}
	}
	return nil
}
