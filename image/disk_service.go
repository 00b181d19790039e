package image

import (
	"context"
	"io"
)

// ServiceDisk returns the disk that holds each image as localhost/<its name>:latest: what ServiceStore returns, for
// VMs. A machine mounts it read-only at /var/lib/saigen/images. Unlike a store, it can be made by a normal user.
func (c *Cache) ServiceDisk(ctx context.Context, bs []Built, say Say) (Disk, error) {
	members := serviceMembers(bs)
	need := []any{storeRecipe}
	for _, m := range members {
		need = append(need, m.built.content(), m.ref, m.built.changes())
	}
	const what = "disk of the services' images"
	return c.disk(ctx, what, need, diskSpec{label: imagesLabel}, func(tmp string, log io.Writer) error {
		return fillStore(ctx, tmp, diskRoot, what, members, log, say)
	}, say)
}
