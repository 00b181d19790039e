package qemu

import (
	"encoding/binary"
	"fmt"
	"os"
)

// A disk that a machine may write to is an overlay: a file with the clusters that differ from the disk below it, in the
// format qcow2, version 3 (docs/interop/qcow2.txt of QEMU 7.2). An empty one is four clusters with a handful of numbers,
// and made ten times faster here than by a process. What is below is said to QEMU, and not written down in the file:
// it may lie elsewhere tomorrow.
const (
	clusterBits = 16
	cluster     = 1 << clusterBits
	// The clusters of an empty overlay, in their order.
	clusterHeader, clusterRefTable, clusterRefBlock, clusterL1, clustersUsed = 0, 1, 2, 3, 4
	// headerLength is that of version 3; a table entry has 8 bytes.
	headerLength = 104
	entryLength  = 8
)

// newOverlay makes an empty overlay for a disk of that many bytes.
func newOverlay(name string, size int64) error {
	perL2 := int64(cluster) * (cluster / entryLength) // bytes of the disk that one table of level 2 is for
	l1 := (size + perL2 - 1) / perL2
	if size <= 0 || l1 > cluster/entryLength {
		return fmt.Errorf("cannot make an overlay for a disk of %d bytes", size)
	}
	data := make([]byte, clustersUsed*cluster)
	be := binary.BigEndian
	copy(data, "QFI\xfb")
	be.PutUint32(data[4:], 3) // version; at 8 and 16: no backing file
	be.PutUint32(data[20:], clusterBits)
	be.PutUint64(data[24:], uint64(size))
	be.PutUint32(data[36:], uint32(l1)) // at 32: not encrypted
	be.PutUint64(data[40:], clusterL1*cluster)
	be.PutUint64(data[48:], clusterRefTable*cluster)
	be.PutUint32(data[56:], 1) // clusters of the refcount table; at 60 to 95: no snapshots, no features
	be.PutUint32(data[96:], 4) // refcounts of 1<<4 bits
	be.PutUint32(data[100:], headerLength)
	be.PutUint64(data[clusterRefTable*cluster:], clusterRefBlock*cluster)
	for i := range clustersUsed {
		be.PutUint16(data[clusterRefBlock*cluster+2*i:], 1)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		return fmt.Errorf("cannot make the machine's disk: %w", err)
	}
	return nil
}
