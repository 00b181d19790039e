package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"

	"github.com/saigen-lab/saigen/lab"
)

// oci is an image of a registry, named by its digest.
type oci struct{ ref string }

// What podman would take for one of its transports that read files of the host ("dir:/…", "oci-archive:…") is refused.
var digestForm = regexp.MustCompile(`^([a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*@sha256:[0-9a-f]{64}$`)

var imageID = regexp.MustCompile(`^[0-9a-f]{64}$`)

func newOCI(img lab.Image) (*oci, error) {
	if !digestForm.MatchString(img.OCI) {
		return nil, fmt.Errorf("%q has no digest: a tag means another image tomorrow; write \"registry/name@sha256:…\"", img.OCI)
	}
	return &oci{ref: img.OCI}, nil
}

func (o *oci) key(context.Context) ([]byte, error) {
	return json.Marshal([]string{"oci", o.ref, runtime.GOARCH})
}

// build pulls the image into a store of its own and packs it from there.
func (o *oci) build(ctx context.Context, tmp string, log io.Writer, say Say) ([]Package, error) {
	say("pulling %s", o.ref)
	s, err := openStore(tmp, "store", log)
	if err != nil {
		return nil, err
	}
	// With the transport said, "dir:5000/x" is a registry and no folder.
	said, err := s.podman(ctx, "pull", "--quiet", "docker://"+o.ref)
	if err != nil {
		return nil, fmt.Errorf("cannot pull %s; a host without the registry needs a debian or go image instead: %w", o.ref, err)
	}
	i := slices.IndexFunc(said, imageID.MatchString) // warnings are among them
	if i < 0 {
		return nil, fmt.Errorf("podman pull did not name the image: %q", said)
	}
	// An archive that names a digest cannot be loaded: packing changes the digest.
	const name = "localhost/saigen-oci:latest"
	if _, err := s.podman(ctx, "tag", said[i], name); err != nil {
		return nil, err
	}
	if _, err := s.podman(ctx, "save", "--quiet", "--format", "oci-archive", "--output", filepath.Join(tmp, tarName), name); err != nil {
		return nil, err
	}
	return nil, s.remove(ctx)
}
