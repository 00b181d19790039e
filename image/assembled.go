package image

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"

	"github.com/saigen-lab/saigen/lab"
)

// assembled is a Debian image with something of the lab in it. Its packages are an image of their own in the cache, so
// that variants with other parts are made in a second.
type assembled struct {
	cache *Cache
	base  lab.Image
	role  Role
	suite *debian
	parts []part
}

// part is something of the lab that goes into a Debian image.
type part interface {
	// key names everything that the part depends on.
	key(ctx context.Context) ([]byte, error)
	// add puts the part into the image, whose key it has been asked for, and returns what is in it. It may use the folder tmp.
	add(ctx context.Context, to *layer, tmp string, log io.Writer, say Say) ([]Package, error)
}

// newDebian returns the builder of a Debian image, with or without parts.
func (c *Cache) newDebian(img lab.Image, role Role, labDir string) (builder, error) {
	d, err := newDebian(img, role)
	if err != nil {
		return nil, err
	}
	a := &assembled{cache: c, role: role, suite: d, base: lab.Image{Name: img.Name, Debian: img.Debian, Snapshot: img.Snapshot, Packages: img.Packages}}
	if img.Go != "" {
		p, err := c.newGoProgram(img, labDir)
		if err != nil {
			return nil, err
		}
		a.parts = append(a.parts, &goPart{p})
	}
	for _, program := range img.C {
		p, err := c.newC(program, img, labDir)
		if err != nil {
			return nil, err
		}
		a.parts = append(a.parts, p)
	}
	if img.NPM != "" {
		p, err := c.newNPM(img.NPM, labDir)
		if err != nil {
			return nil, err
		}
		a.parts = append(a.parts, p)
	}
	if len(a.parts) == 0 {
		return d, nil
	}
	return a, nil
}

func (a *assembled) key(ctx context.Context) ([]byte, error) {
	base, err := a.suite.key(ctx)
	if err != nil {
		return nil, err
	}
	keys := [][]byte{[]byte("assembled"), base}
	for _, p := range a.parts {
		key, err := p.key(ctx)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return json.Marshal(keys)
}

func (a *assembled) build(ctx context.Context, tmp string, log io.Writer, say Say) ([]Package, error) {
	base, err := a.cache.made(ctx, a.base, a.role, a.suite, say, say)
	if err != nil {
		return nil, err
	}
	to, err := openLayer(base.Tar, filepath.Join(tmp, tarName))
	if err != nil {
		return nil, err
	}
	packages := slices.Clone(base.Packages)
	for _, p := range a.parts {
		more, err := p.add(ctx, to, tmp, log, say)
		if err != nil {
			return nil, errors.Join(err, to.f.Close())
		}
		packages = append(packages, more...)
	}
	return packages, to.close()
}
