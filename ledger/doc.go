// Package ledger remembers what saigen makes on the host, so that it can be undone: by the run itself when it ends, or
// by the next saigen when the run was killed. It also takes the inventories that a leak audit compares.
//
// It knows files, cgroups, processes, mounts, namespaces and links. It must not know labs, engines or virtual machines:
// a driver that makes something new describes how to undo it in these terms, or hands in its own Undoer.
package ledger
