package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Disk is a file that holds one ext4 file system and nothing around it: no partition table, no bootloader. It is sparse
// and must not be written to: a machine writes to an overlay.
type Disk struct {
	Hash string // of what the file holds, 64 hex digits: a memory snapshot is good for these bytes only
	Path string
	Size int64 // as the machine sees it, in bytes
}

const (
	disksKind = "disks"
	diskName  = "disk.img"
	diskInfo  = "disk.json"
	diskRoot  = "root" // the folder that becomes a disk, beside it while it is made
)

// diskRecipe changes when the disks of an older saigen must not be used any more, for a reason that their key does not show.
const diskRecipe = 1

// machineDiskSize is what a machine's root file system can grow to. What nobody writes costs nothing.
const machineDiskSize = 16 << 30

// diskFile is what disk.json holds.
type diskFile struct {
	Hash string `json:"hash"`
}

// ext4Features are stated, so that the host's mke2fs.conf does not matter. There is no journal: when a machine loses
// its power, its disk is thrown away.
const ext4Features = "none,dir_index,dir_nlink,ext_attr,extent,extra_isize,filetype,flex_bg,huge_file,large_file,metadata_csum,sparse_super,64bit"

// diskSpec is how a folder becomes a disk.
type diskSpec struct {
	label string
	size  int64  // in bytes; 0: what the folder needs
	fill  string // shell commands that fill the folder $root; $1 … are args. Empty: it is filled already
	args  []string
}

// diskScript runs in namespaces of its own, where files have the owners that they have in the machine. No time in the
// disk is that of its making, but the inodes' ctime and atime, which mke2fs copies from the folder.
const diskScript = `set -eu
root=$1 out=$2 label=$3 size=$4
shift 4
%s
if [ "$size" = 0 ]; then
	size=$(($(du --apparent-size --block-size=4096 --summarize "$root" | cut -f1) * 4 * 3 / 2 + $(find "$root" | wc -l) + 4096))k
fi
export MKE2FS_CONFIG=/dev/null E2FSPROGS_FAKE_TIME=1000000000
mke2fs -q -F -t ext4 -b 4096 -I 256 -i 16384 -m 0 -O ` + ext4Features + ` -L "$label" \
	-U 5a19e200-0000-4000-8000-000000000001 \
	-E lazy_itable_init=1,root_owner=0:0,hash_seed=5a19e200-0000-4000-8000-000000000002 -d "$root" "$out" "$size"
`

// disk finds a disk in the cache or makes it. need names all that goes into it.
func (c *Cache) disk(ctx context.Context, name string, need any, spec diskSpec, prepare func(tmp string, log io.Writer) error, say Say) (Disk, error) {
	key, err := json.Marshal([]any{"disk", diskRecipe, diskScript, spec.label, spec.size, spec.fill, need})
	if err != nil {
		return Disk{}, err
	}
	sum := sha256.Sum256(key)
	hash := hex.EncodeToString(sum[:])
	what := fmt.Sprintf("%s (%s)", name, hash[:12])
	dir, _, err := c.entry(ctx, disksKind, hash, what, say, func(tmp string, log io.Writer) error {
		began := time.Now()
		if prepare != nil {
			if err := prepare(tmp, log); err != nil {
				return err
			}
		}
		out := filepath.Join(tmp, diskName)
		if err := makeDisk(ctx, spec, tmp, out, log); err != nil {
			return err
		}
		content, err := hashSparse(out)
		if err != nil {
			return err
		}
		say("%s: made in %.1f s", what, time.Since(began).Seconds())
		return errors.Join(writeName(tmp, name), writeJSON(filepath.Join(tmp, diskInfo), diskFile{Hash: content}))
	})
	if err != nil {
		return Disk{}, infra("cannot make the "+what, err, c.failedLog(disksKind, hash))
	}
	d := Disk{Path: filepath.Join(dir, diskName)}
	var info diskFile
	st, err := os.Stat(d.Path)
	if err == nil {
		err = readJSON(filepath.Join(dir, diskInfo), &info)
	}
	if err != nil {
		return Disk{}, fmt.Errorf("cannot read the %s: %v; remove the folder %s", what, err, dir)
	}
	d.Hash, d.Size = info.Hash, st.Size()
	return d, nil
}

func makeDisk(ctx context.Context, spec diskSpec, tmp, out string, log io.Writer) error {
	root := filepath.Join(tmp, diskRoot)
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	size := "0"
	if spec.size > 0 {
		size = strconv.FormatInt(spec.size>>10, 10) + "k"
	}
	script := fmt.Sprintf(diskScript, spec.fill)
	cmd := command{
		argv: append([]string{"sh", "-c", script, "sh", root, out, spec.label, size}, spec.args...),
		dir:  tmp, env: plainEnv(), mapped: true, log: log,
	}
	if spec.fill != "" && plentyOfMemory() {
		cmd.memory = root
	}
	if _, err := cmd.run(ctx); err != nil {
		return err
	}
	return errors.Join(removeAll(ctx, root), os.Chmod(out, 0o644))
}

// removeAll removes a folder in which files may belong to a normal user's subordinate ids.
func removeAll(ctx context.Context, dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || os.Geteuid() == 0 || !errors.Is(err, os.ErrPermission) {
		return err
	}
	_, err = command{argv: []string{"rm", "-rf", dir}, dir: "/", env: plainEnv(), mapped: true, log: io.Discard}.run(ctx)
	return err
}

// hashSparse names what a sparse file holds, by its blocks that are not all zero, and its size.
func hashSparse(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	_, _ = fmt.Fprintln(sum, st.Size())
	const block = 4096
	buffer, zero := make([]byte, 256*block), make([]byte, block)
	for at := int64(0); at < st.Size(); {
		data, err := f.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		if err != nil {
			return "", err
		}
		at = data - data%block
		end, err := f.Seek(at, unix.SEEK_HOLE)
		if err != nil {
			return "", err
		}
		for at < end {
			n, err := f.ReadAt(buffer[:min(int64(len(buffer)), st.Size()-at)], at)
			if err != nil && err != io.EOF {
				return "", err
			}
			for from := 0; from < n; from += block {
				one := buffer[from:min(from+block, n)]
				if string(one) != string(zero[:len(one)]) {
					_, _ = fmt.Fprintln(sum, at+int64(from))
					_, _ = sum.Write(one)
				}
			}
			at += int64(n)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// machineFill unpacks the machine's image, the kernel's modules and saigen's own files. The devices are the kernel's.
const machineFill = `unpack() { tar --extract --file "$1" --directory "$root" --numeric-owner --same-owner --same-permissions --xattrs --xattrs-include="*" --exclude="./dev/*"; }
unpack "$1"
unpack "$2"
unpack "$3"`

// MachineDisk returns the disk that a VM's system is on: the image, the kernel's modules, and room to grow. The kernel's
// initial RAM disk mounts it by its label, with the agent's disk and the service images' where they are there.
func (c *Cache) MachineDisk(ctx context.Context, b Built, k Kernel, say Say) (Disk, error) {
	return c.machineDisk(ctx, b, k, vmFiles(), say)
}

func (c *Cache) machineDisk(ctx context.Context, b Built, k Kernel, files []file, say Say) (Disk, error) {
	what := "disk of image." + b.Image.Name
	if b.Role != Machine {
		return Disk{}, fmt.Errorf("cannot make the %s: it is no machine", what)
	}
	ours, err := archive(files, time.Unix(0, 0))
	if err != nil {
		return Disk{}, err
	}
	spec := diskSpec{label: rootLabel, size: machineDiskSize, fill: machineFill}
	return c.disk(ctx, what, []any{b.content(), k.Hash, ours}, spec.with(b.Tar, k.Modules, oursName), func(tmp string, _ io.Writer) error {
		return os.WriteFile(filepath.Join(tmp, oursName), ours, 0o644)
	}, say)
}

const oursName = "ours.tar"

func (s diskSpec) with(args ...string) diskSpec {
	s.args = args
	return s
}

// content names what an image holds: the same inputs give another system when Debian has newer packages.
func (b Built) content() string {
	data, _ := json.Marshal([]any{b.Hash, b.Packages}) // strings only: it cannot fail
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// AgentDisk returns the disk that holds the program self as "saigen". A machine mounts it read-only at /usr/lib/saigen.
func (c *Cache) AgentDisk(ctx context.Context, self string, say Say) (Disk, error) {
	sum, err := hashFiles(self)
	if err != nil {
		return Disk{}, fmt.Errorf("cannot read the agent: %v", err)
	}
	spec := diskSpec{label: agentLabel, fill: `install -m 755 "$1" "$root"/saigen && touch -d @0 "$root"/saigen "$root"`}
	return c.disk(ctx, "agent's disk", sum, spec.with(self), nil, say)
}
