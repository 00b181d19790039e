package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// goImage is an image that holds one static Go program and nothing else.
type goImage struct{ program *goProgram }

func (c *Cache) newGoImage(img lab.Image, labDir string) (*goImage, error) {
	p, err := c.newGoProgram(img, labDir)
	return &goImage{p}, err
}

func (g *goImage) key(ctx context.Context) ([]byte, error) {
	key, err := g.program.read(ctx)
	if err != nil {
		return nil, err
	}
	if key.Frame, err = g.frame(nil); err != nil {
		return nil, err
	}
	return json.Marshal(key)
}

func (g *goImage) build(ctx context.Context, tmp string, log io.Writer, say Say) ([]Package, error) {
	bin, packages, err := g.program.compile(ctx, tmp, log, say)
	if err != nil {
		return nil, err
	}
	root, err := g.frame(bin)
	if err != nil {
		return nil, err
	}
	return packages, os.WriteFile(filepath.Join(tmp, tarName), root, 0o644)
}

// frame is the root filesystem around a program: what a container engine mounts over must be there.
func (g *goImage) frame(bin []byte) ([]byte, error) {
	return archive([]file{
		{name: "app", mode: 0o755, data: bin},
		{name: "dev/", mode: 0o755},
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\nnogroup:x:65534:\n")},
		{name: "etc/hostname", mode: 0o644},
		{name: "etc/hosts", mode: 0o644, data: []byte(hosts)},
		{name: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/root:/app\nnobody:x:65534:65534:nobody:/nonexistent:/app\n")},
		{name: "etc/resolv.conf", mode: 0o644},
		{name: "proc/", mode: 0o555},
		{name: "root/", mode: 0o700},
		{name: "run/", mode: 0o755},
		{name: "sys/", mode: 0o555},
		{name: "tmp/", mode: 0o1777},
	}, time.Unix(0, 0))
}

// goPart is a Go program in a Debian image.
type goPart struct{ program *goProgram }

func (g *goPart) key(ctx context.Context) ([]byte, error) {
	key, err := g.program.read(ctx)
	if err != nil {
		return nil, err
	}
	return json.Marshal([]any{g.output(), key})
}

// output is where the program is in the image.
func (g *goPart) output() string { return path.Join("usr/local/bin", g.program.name()) }

func (g *goPart) add(ctx context.Context, to *layer, tmp string, log io.Writer, say Say) ([]Package, error) {
	bin, packages, err := g.program.compile(ctx, tmp, log, say)
	if err != nil {
		return nil, err
	}
	if err := to.file(g.output(), 0o755, int64(len(bin)), bytes.NewReader(bin)); err != nil {
		return nil, fmt.Errorf("cannot add the program of %s: %v", g.program.path, err)
	}
	return packages, nil
}
