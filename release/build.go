package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
)

// The only system that is released. The qemu driver starts qemu-system-x86_64, the vagrant driver's libvirt machines are amd64, and
// on other processors nothing of saigen was ever run.
const goos, goarch = "linux", "amd64"

// commit is what is released: never the files as they lie about.
type commit struct {
	id      string
	version string // git describe
	at      time.Time
}

// build builds the commit that is checked out, twice, from clones in two folders and without anything that was compiled before; it
// fails when one byte differs, and else puts the release into out.
func build(ctx context.Context, root, out string, stdout io.Writer) (err error) {
	c, err := head(ctx, root)
	if err != nil {
		return err
	}
	if dirty, err := output(ctx, root, nil, "git", "status", "--porcelain"); err != nil {
		return err
	} else if len(dirty) > 0 {
		fmt.Fprintf(stdout, "release: %d changed files are not in it: it is made of commit %.12s\n", strings.Count(string(dirty), "\n"), c.id)
	}
	tmp, err := os.MkdirTemp("", "saigen-release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	var made []string
	for _, where := range []string{"first", "second/with a longer name"} {
		started := time.Now()
		work := filepath.Join(tmp, where)
		dist := filepath.Join(work, "dist")
		if err := c.buildIn(ctx, root, work, dist); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "release: %s built in %s, in %.0f s\n", c.version, work, time.Since(started).Seconds())
		made = append(made, dist)
	}
	if err := same(made[0], made[1]); err != nil {
		return err
	}
	list, err := sums(made[0])
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(made[0], "SHA256SUMS"), list, 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.CopyFS(out, os.DirFS(made[0])); err != nil {
		return fmt.Errorf("cannot put the release into %s: %w", out, err)
	}
	fmt.Fprintf(stdout, "release: both builds are the same, byte for byte; %s has\n%s", out, list)
	return nil
}

// head is the commit that is checked out. Its version must not depend on how many objects the repository has.
func head(ctx context.Context, root string) (c commit, err error) {
	ask := func(args ...string) string {
		out, e := output(ctx, root, nil, "git", args...)
		err = errors.Join(err, e)
		return strings.TrimSpace(string(out))
	}
	c.id = ask("rev-parse", "HEAD")
	c.version = ask("describe", "--tags", "--always", "--abbrev=12", "HEAD")
	seconds := ask("log", "-1", "--format=%ct", "HEAD")
	if err != nil {
		return c, err
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	c.at = time.Unix(n, 0).UTC()
	return c, err
}

// buildIn clones the commit into work, builds it there with a build cache of its own, and fills dist.
func (c commit) buildIn(ctx context.Context, root, work, dist string) error {
	source := filepath.Join(work, "source")
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"clone", "--quiet", "--no-hardlinks", "--no-checkout", root, source},
		{"-C", source, "-c", "advice.detachedHead=false", "checkout", "--quiet", c.id},
	} {
		if _, err := output(ctx, work, nil, "git", args...); err != nil {
			return err
		}
	}
	env, err := buildEnv(source)
	if err != nil {
		return err
	}
	if tried, err := goTool(ctx, source, env, "env", "GOEXPERIMENT"); err != nil {
		return err
	} else if len(strings.TrimSpace(string(tried))) > 0 {
		return fmt.Errorf("cannot build what others get: GOEXPERIMENT is %s", tried)
	}
	env = append(env, "GOCACHE="+filepath.Join(work, "cache"), "GOTMPDIR="+work)
	binary := filepath.Join(work, "saigen")
	if err := c.compile(ctx, source, binary, env); err != nil {
		return err
	}
	parts, err := inSaigen(ctx, source, env...)
	if err != nil {
		return err
	}
	if err := areIn(binary, parts); err != nil {
		return err
	}
	files, err := c.files(ctx, source, binary, parts)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("saigen-%s-%s-%s", c.version, goos, goarch)
	tarball, err := archive(name, c.at, files)
	if err != nil {
		return err
	}
	list, err := sbom(c.version, parts)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dist, name+".tar.gz"), tarball, 0o644),
		os.WriteFile(filepath.Join(dist, name+".cdx.json"), list, 0o644))
}

// buildEnv is what decides about a build, the same everywhere: with the Go version of go.mod, whatever is installed.
func buildEnv(source string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return nil, err
	}
	mod, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		return nil, err
	}
	if mod.Go == nil {
		return nil, errors.New("cannot build: go.mod names no version of Go")
	}
	return []string{
		"GOOS=" + goos, "GOARCH=" + goarch, "GOAMD64=v1", "CGO_ENABLED=0", "GOTOOLCHAIN=go" + mod.Go.Version,
		"GOFLAGS=-mod=readonly", "GOWORK=off", "GOFIPS140=off", // set, since an empty one means that of go env -w
	}, nil
}

// compile builds the program. The commit is in it: go version -m shows it.
func (c commit) compile(ctx context.Context, source, binary string, env []string) error {
	_, err := goTool(ctx, source, env, "build", "-trimpath", "-buildvcs=true", "-ldflags", "-s -w -X main.version="+c.version,
		"-o", binary, "./"+command)
	return err
}

// areIn says whether the program was linked from exactly these modules.
func areIn(binary string, parts []part) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("cannot read what was linked: %w", err)
	}
	var linked, known []string
	for _, m := range info.Deps {
		linked = append(linked, m.Path+" "+m.Version)
	}
	for _, p := range parts {
		if p.sum != "" {
			known = append(known, p.String())
		}
	}
	slices.Sort(linked)
	slices.Sort(known)
	if !slices.Equal(linked, known) {
		return fmt.Errorf("the program has other modules than were looked at:\n%s\n\n%s", strings.Join(linked, "\n"), strings.Join(known, "\n"))
	}
	return nil
}

// files are those of the archive.
func (c commit) files(ctx context.Context, source, binary string, parts []part) ([]packed, error) {
	body, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	files := []packed{{"saigen", 0o755, body}, {"THIRD_PARTY", 0o644, thirdParty(parts)}}
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		body, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return nil, err
		}
		files = append(files, packed{name, 0o644, body})
	}
	if runtime.GOOS != goos || runtime.GOARCH != goarch {
		return nil, fmt.Errorf("cannot make the completions: they are printed by the program, which is for %s/%s", goos, goarch)
	}
	for shell, name := range map[string]string{"bash": "saigen.bash", "zsh": "_saigen", "fish": "saigen.fish"} {
		body, err := output(ctx, source, nil, binary, "completion", shell)
		if err != nil {
			return nil, err
		}
		files = append(files, packed{"completions/" + name, 0o644, body})
	}
	return files, nil
}
