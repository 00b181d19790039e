package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// npmProject is a folder of the lab with a package.json and a package-lock.json. In the image its packages are installed,
// as npm ci would do it but for install scripts: no program of a package runs while an image is built.
type npmProject struct {
	cache   *Cache
	folder  lab.Path
	labDir  string
	sources []file
}

// npmRecipe changes when the same folder must give another image.
const npmRecipe = 1

func (c *Cache) newNPM(folder lab.Path, labDir string) (*npmProject, error) {
	if err := folder.Check(); err != nil {
		return nil, err
	}
	return &npmProject{cache: c, folder: folder, labDir: labDir}, nil
}

func (n *npmProject) key(context.Context) ([]byte, error) {
	var err error
	n.sources, err = readFolder(n.labDir, n.folder, func(name string, _ bool) bool { return name == "node_modules" || name == ".git" })
	if err != nil {
		return nil, err
	}
	sources, err := archive(n.sources, time.Unix(0, 0))
	if err != nil {
		return nil, err
	}
	return json.Marshal([]any{"npm", npmRecipe, n.output(), sources})
}

// output is where the project is in the image.
func (n *npmProject) output() string {
	return path.Join("srv", filepath.Base(filepath.Join(n.labDir, string(n.folder))))
}

// mostListed is how many packages a lock lists. Where there are more, it lists those that a package.json of the lab asks for.
const mostListed = 100

func (n *npmProject) add(ctx context.Context, to *layer, _ string, _ io.Writer, say Say) ([]Package, error) {
	files := map[string][]byte{}
	for _, f := range n.sources {
		files[f.name] = f.data
	}
	all, projects, err := readNPMLock(files)
	if err != nil {
		return nil, fmt.Errorf("cannot install the npm packages of %s: %v", n.folder, err)
	}
	tarballs, err := n.cache.tarballs(ctx, say)
	if err != nil {
		return nil, err
	}
	say("installing %d npm packages", len(all))
	if err := tarballs.fetch(ctx, all, say); err != nil {
		return nil, err
	}
	for _, f := range n.sources {
		if err := to.file(path.Join(n.output(), f.name), f.mode, int64(len(f.data)), bytes.NewReader(f.data)); err != nil {
			return nil, err
		}
	}
	left := npmLimits{bytes: mostUnpacked, files: mostFiles}
	sum := sha256.Sum256(files["package-lock.json"])
	packages := []Package{{Name: "package-lock.json", Version: "sha256:" + hex.EncodeToString(sum[:]), From: fromNPM}}
	for _, p := range all {
		if p.script {
			say("warning: the npm package %s %s has an install script, which is not run: saigen runs none", p.name, p.version)
		}
		if err := n.install(ctx, to, tarballs, p, &left); err != nil {
			return nil, fmt.Errorf("cannot unpack the npm package %s %s: %w", p.name, p.version, err)
		}
		if p.link == "" && (len(all) <= mostListed || p.direct(projects)) {
			packages = append(packages, Package{Name: strings.ReplaceAll(strings.TrimPrefix(p.folder, "node_modules/"), "/node_modules/", " > "), Version: p.version, From: fromNPM})
		}
	}
	for _, p := range all {
		if err := n.commands(to, p); err != nil {
			return nil, fmt.Errorf("cannot link the commands of the npm package %s %s: %w", p.name, p.version, err)
		}
	}
	return packages, nil
}

// install puts one package into the image.
func (n *npmProject) install(ctx context.Context, to *layer, from *npmTarballs, p npmPackage, left *npmLimits) error {
	folder := path.Join(n.output(), p.folder)
	if p.link != "" {
		target, err := filepath.Rel(path.Dir(folder), path.Join(n.output(), p.link))
		return errors.Join(err, to.link(folder, target))
	}
	data, _, err := from.get(ctx, p)
	if err != nil {
		return err
	}
	programs := map[string]bool{}
	for _, name := range p.bin {
		programs[path.Clean(name)] = true
	}
	files, err := unpackNPM(data, left)
	if err != nil {
		return err
	}
	for _, f := range files {
		if programs[f.name] {
			f.mode = 0o755
		}
		if err := to.file(path.Join(folder, f.name), f.mode, int64(len(f.data)), bytes.NewReader(f.data)); err != nil {
			return err
		}
	}
	return nil
}

// commands links what a package calls its commands from the .bin folder beside it. Of two packages with a command of the
// same name, the first has it.
func (n *npmProject) commands(to *layer, p npmPackage) error {
	beside := p.folder[:strings.LastIndex(p.folder, "node_modules/")] + "node_modules"
	for _, name := range slices.Sorted(maps.Keys(p.bin)) {
		target := path.Clean(p.bin[name])
		if !filepath.IsLocal(target) || !filepath.IsLocal(name) {
			return fmt.Errorf("%q is at %q, which is not in the package", name, p.bin[name])
		}
		link := path.Join(n.output(), beside, ".bin", path.Base(name))
		program := path.Join(n.output(), p.folder, target)
		if p.link != "" {
			program = path.Join(n.output(), p.link, target)
		}
		if to.there[program] == nil || to.there[link] != nil {
			continue
		}
		relative, err := filepath.Rel(path.Dir(link), path.Join(n.output(), p.folder, target))
		if err := errors.Join(err, to.link(link, relative)); err != nil {
			return err
		}
	}
	return nil
}

const (
	mostUnpacked = 4 << 30   // bytes, of all packages of a project together
	mostOfOne    = 512 << 20 // bytes, of one
	mostFiles    = 500_000
)

// npmLimits is what a project may still unpack.
type npmLimits struct{ bytes, files int64 }

// unpackNPM returns the files of a package's tarball, in their order; of two with one name, the later, as tar leaves it. The
// tarball's first folder, mostly called "package", is left out, as npm does. What would be elsewhere than in the
// package's folder, and what is no plain file, is an error.
func unpackNPM(data []byte, left *npmLimits) ([]file, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var all []file
	at := map[string]int{}
	own := int64(mostOfOne)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		switch h.Typeflag {
		case tar.TypeReg:
		case tar.TypeDir, tar.TypeXGlobalHeader:
			continue
		default:
			return nil, fmt.Errorf("%q is no plain file, but a link or a device", h.Name)
		}
		_, name, ok := strings.Cut(strings.TrimPrefix(h.Name, "./"), "/")
		if !ok || !filepath.IsLocal(h.Name) || !filepath.IsLocal(name) || strings.ContainsAny(name, "\\\x00") {
			return nil, fmt.Errorf("%q is not in the package's folder", h.Name)
		}
		own, left.bytes, left.files = own-h.Size, left.bytes-h.Size, left.files-1
		if own < 0 || left.bytes < 0 || left.files < 0 {
			return nil, fmt.Errorf("it holds more than %d MiB, or all packages more than %d GiB or %d files", mostOfOne>>20, int64(mostUnpacked>>30), mostFiles)
		}
		one := file{name: path.Clean(name), mode: 0o644}
		if h.Mode&0o111 != 0 {
			one.mode = 0o755
		}
		if one.data, err = io.ReadAll(r); err != nil {
			return nil, err
		}
		if i, twice := at[one.name]; twice {
			all[i] = one
			continue
		}
		at[one.name] = len(all)
		all = append(all, one)
	}
}
