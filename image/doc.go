// Package image builds the root filesystems that machines and containers run from, and keeps them in a cache.
//
// An image is named by the hash of what it is built from. It is a plain tar (every driver makes what it needs from
// that), or, for the container driver and for the services on a machine, a containers-storage root that is used
// read-only. What went into an image is written to the lab's lock file, so that a run can say what has drifted.
//
// The room knows mmdebstrap, the Go toolchain and podman's image store. It does not know machines, accounts or stacks,
// and it leaves nothing outside the cache folder: no mount, no container, no entry in the host's own image store.
package image
