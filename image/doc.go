// Package image builds the root filesystems that machines and containers run from, and keeps them in a cache.
//
// An image is named by the hash of what it is built from. It is a plain tar, and every driver makes what it needs from
// that: a containers-storage root that is used read-only, for the container driver and for the services on a machine; a
// disk and a kernel beside it, for VMs; a box, for Vagrant. What of the lab goes into a Debian image beside its packages (a
// Go program, C programs, npm packages) is a part, appended to the tar of the packages alone. What went into an image is written to the lab's lock file, so
// that a run can say what has drifted.
//
// The room knows mmdebstrap, mke2fs, the Go toolchain, gcc, npm's lock files and registry, and podman's image store. It does not know machines, accounts or
// stacks. What compiles a lab's source does it in a sandbox, which has nothing of the host but the toolchain. It leaves nothing outside the cache folder: no mount, no container, no entry in the host's own image store.
// All of it works as root, and all but the container driver's stores as a normal user with subordinate ids.
package image
