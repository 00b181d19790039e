package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// cProgram is a C source of the lab, which is compiled with the compiler of the image's own suite. The compiler is not in
// the image: it has a Debian system of its own, which stays in the cache.
type cProgram struct {
	cache    *Cache
	program  lab.CProgram
	labDir   string
	source   []byte
	compiler *debian
}

// newC returns the part. from is the Debian image that it goes into.
func (c *Cache) newC(program lab.CProgram, from lab.Image, labDir string) (*cProgram, error) {
	if err := program.Source.Check(); err != nil {
		return nil, err
	}
	if !path.IsAbs(program.Output) || path.Clean(program.Output) != program.Output || program.Output == "/" {
		return nil, fmt.Errorf("%q is no absolute path of a file", program.Output)
	}
	compiler, err := newDebian(lab.Image{Name: "compiler", Debian: from.Debian, Snapshot: from.Snapshot, Packages: []string{"gcc", "libc6-dev"}}, Service)
	if err != nil {
		return nil, err
	}
	return &cProgram{cache: c, program: program, labDir: labDir, compiler: compiler}, nil
}

// mostSource is the largest C file that is taken, in bytes.
const mostSource = 1 << 20

func (p *cProgram) key(ctx context.Context) ([]byte, error) {
	var err error
	if p.source, err = readSource(p.labDir, string(p.program.Source)); err != nil {
		return nil, err
	}
	compiler, err := p.compiler.key(ctx)
	if err != nil {
		return nil, err
	}
	return json.Marshal([]any{"c", cRecipe, p.program.Output, p.program.Source, p.program.Flags, p.source, compiler})
}

// readSource reads one file of the lab. A link is refused: it could lead out of the lab.
func readSource(labDir, name string) ([]byte, error) {
	root, err := os.OpenRoot(labDir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	st, err := root.Lstat(name)
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a plain file", name)
	case st.Size() > mostSource:
		return nil, fmt.Errorf("%s has more than %d KiB", name, mostSource>>10)
	}
	return root.ReadFile(name)
}

// compileScript unpacks the compiler's system, and compiles in there, in a sandbox without a network. What the lab says
// runs, since a flag may load a plugin, but it reaches nothing of the host, and writes to made alone, which is small. What it
// leaves is read from inside too, since it may be a link.
const compileScript = sandboxScript + `
with() {
	env -i PATH=/usr/bin:/bin LANG=C.UTF-8 TMPDIR=/build/made SOURCE_DATE_EPOCH=0 "$@"
}
root=$1 system=$2 sources=$3 source=$4 out=$5 limits=$6 folder=/build
shift 6
tar --extract --file "$system" --directory "$root" --numeric-owner --same-permissions --exclude="./dev/*"
tar --extract --file "$sources" --directory "$root" --no-same-owner
mkdir "$root/build/made"
mount --bind "$root" "$root"
mount -o remount,bind,ro,nosuid,nodev "$root"
memory "$root/build/made" 512m 1777
inside --net /usr/bin/gcc -o made/out "$source" "$@"
inside --net /usr/bin/cat made/out >"$out"
`

// cRecipe changes when the same source must give another program for a reason that the key does not show.
const cRecipe = 1

// compileTime is how long a compiler may take.
const compileTime = 5 * time.Minute

var compilerForm = regexp.MustCompile(`^(gcc-[0-9]+|libc6-dev)$`)

func (p *cProgram) add(ctx context.Context, to *layer, tmp string, log io.Writer, say Say) ([]Package, error) {
	compiler, err := p.cache.made(ctx, p.compiler.img, Service, p.compiler, say, func(format string, args ...any) { say("its C compiler: "+format, args...) })
	if err != nil {
		return nil, err
	}
	root, sources, out := filepath.Join(tmp, "compiler"), filepath.Join(tmp, "sources.tar"), filepath.Join(tmp, "out")
	packed, err := archive([]file{{name: path.Join("build", string(p.program.Source)), mode: 0o644, data: p.source}}, time.Unix(0, 0))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Mkdir(root, 0o755), os.WriteFile(sources, packed, 0o644)); err != nil {
		return nil, err
	}
	packages := make([]Package, 0, 2)
	for _, c := range compiler.Packages {
		if compilerForm.MatchString(c.Name) {
			c.From = fromC
			packages = append(packages, c)
		}
	}
	say("compiling %s with %s", p.program.Source, versions(packages))
	cmd := command{
		argv: append([]string{"sh", "-c", compileScript, "sh", root, compiler.Tar, sources, string(p.program.Source), out, rlimits(120, 256<<20, 4<<30, 512)}, p.program.Flags...),
		dir:  tmp, env: plainEnv(), mapped: true, log: log,
	}
	if plentyOfMemory() {
		cmd.memory = root
	}
	limited, cancel := context.WithTimeoutCause(ctx, compileTime, fmt.Errorf("it took more than %s", compileTime))
	defer cancel()
	if _, err := cmd.run(limited); err != nil {
		if ctx.Err() == nil && limited.Err() != nil {
			err = context.Cause(limited)
		}
		return nil, fmt.Errorf("cannot compile %s: %w", p.program.Source, err)
	}
	bin, err := readPlain(out)
	if err != nil {
		return nil, err
	}
	if err := to.file(p.program.Output, 0o755, int64(len(bin)), strings.NewReader(string(bin))); err != nil {
		return nil, err
	}
	return packages, errors.Join(removeAll(ctx, root), os.Remove(sources), os.Remove(out))
}

func versions(packages []Package) string {
	var all []string
	for _, p := range packages {
		all = append(all, p.Name+" "+p.Version)
	}
	return strings.Join(all, ", ")
}
