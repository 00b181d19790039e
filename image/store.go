package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// store is a containers-storage root that is being filled.
type store struct {
	root  string
	etc   string // podman's settings
	cache string // the folder of the cache, in which all is that podman reads and writes
	log   io.Writer
}

// podmanRun is where podman keeps what is not part of the store. It refuses a path of more than 50 characters, and
// keeps its locks in /dev/shm: so that is a file system of podman's own, which is gone when podman ends.
const podmanRun = "/dev/shm/run"

const podmanScript = `mount -t tmpfs -o mode=1777 none /dev/shm && exec "$@"`

// rootPodmanScript is the same for root, whose podman also makes /run/containers/networks and a cache in /var/lib/containers, and
// knows no option for either: it sees copies of those folders, which are gone when it ends, and $1 as it is. A host whose own
// folders are an overlay above another one allows none: podman works there, too.
const rootPodmanScript = `set -e
mount -t tmpfs -o mode=1777 none /dev/shm
keep=$1; shift
mkdir /dev/shm/keep
mount --rbind "$keep" /dev/shm/keep
for dir in /run /var/lib; do
	mkdir -p "/dev/shm/above$dir" "/dev/shm/work$dir"
	mount -t overlay -o "lowerdir=$dir,upperdir=/dev/shm/above$dir,workdir=/dev/shm/work$dir" none "$dir" ||
		echo "what podman makes in $dir stays there"
done
mkdir -p "$keep"
mount --move /dev/shm/keep "$keep"
exec "$@"`

// storageConf keeps the host's own storage settings (additional stores, mount programs) out of it.
const storageConf = "[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n"

// openStore starts an empty store with a name in a new entry of the cache. A normal user's holds files of his subordinate ids.
func openStore(entry, name string, log io.Writer) (*store, error) {
	s := &store{root: filepath.Join(entry, name), etc: filepath.Join(entry, "podman"), cache: filepath.Dir(filepath.Dir(entry)), log: log}
	for _, dir := range []string{s.root, s.etc} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{
		"storage.conf":    fmt.Sprintf(storageConf, s.root, podmanRun),
		"containers.conf": fmt.Sprintf("[network]\nnetwork_config_dir = %q\n", filepath.Join(s.etc, "networks")),
		// What is imported is what saigen built; what is pulled is named by its digest.
		"policy.json": `{"default": [{"type": "insecureAcceptAnything"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(s.etc, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// podman runs podman on this store alone. It runs in its own mount namespace, because it mounts the store onto itself.
func (s *store) podman(ctx context.Context, verb string, args ...string) ([]string, error) {
	argv := []string{"sh", "-c", rootPodmanScript, "sh", s.cache}
	if os.Geteuid() != 0 {
		argv = []string{"sh", "-c", podmanScript, "sh"}
	}
	argv = append(argv,
		"podman", "--root", s.root, "--runroot", podmanRun, "--tmpdir", podmanRun+"/tmp",
		"--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none", verb)
	if verb == "pull" || verb == "load" {
		argv = append(argv, "--signature-policy", filepath.Join(s.etc, "policy.json"))
	}
	env := plainEnv(
		"CONTAINERS_STORAGE_CONF="+filepath.Join(s.etc, "storage.conf"),
		"CONTAINERS_CONF="+filepath.Join(s.etc, "containers.conf"),
		"TMPDIR="+s.etc,
	)
	if os.Geteuid() != 0 {
		env = append(env, "_CONTAINERS_USERNS_CONFIGURED=done") // podman must not look for subordinate ids itself
	}
	if v, ok := os.LookupEnv("CONTAINERS_REGISTRIES_CONF"); ok {
		env = append(env, "CONTAINERS_REGISTRIES_CONF="+v)
	}
	last, err := command{argv: append(argv, args...), dir: "/", env: env, mapped: true, log: s.log}.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("podman %s: %w", verb, err)
	}
	return last, nil
}

// add brings an image into the store under a reference.
func (s *store) add(ctx context.Context, b Built, ref string) error {
	if b.Image.OCI != "" {
		last, err := s.podman(ctx, "load", "--quiet", "--input", b.Tar)
		if err != nil {
			return err
		}
		for _, line := range last { // warnings are among them
			if loaded, ok := strings.CutPrefix(line, "Loaded image: "); ok {
				_, err = s.podman(ctx, "tag", loaded, ref)
				return err
			}
		}
		return fmt.Errorf("podman load did not name the image: %q", last)
	}
	args := []string{"--quiet"}
	for _, change := range b.changes() {
		args = append(args, "--change", change)
	}
	_, err := s.podman(ctx, "import", append(args, b.Tar, ref)...)
	return err
}

// changes is how a container of the image starts.
func (b Built) changes() []string {
	switch {
	case b.Image.Go != "" && b.Image.Debian == "":
		return []string{`ENTRYPOINT ["/app"]`}
	case b.Role == Machine:
		// SIGRTMIN+3 is systemd's word for "halt".
		return []string{`CMD ["/sbin/init"]`, `STOPSIGNAL SIGRTMIN+3`}
	}
	return []string{`CMD ["/bin/bash"]`}
}

// seal leaves only what a reader of the store needs, and makes sure that it is there: who opens a store read-only
// cannot make its lock files.
func (s *store) seal(ctx context.Context) error {
	for _, name := range []string{"libpod", "mounts", "networks", "secrets", "tmp", "volumes", "defaultNetworkBackend"} {
		if err := removeAll(ctx, filepath.Join(s.root, name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"storage.lock", "userns.lock", "overlay-images/images.lock", "overlay-layers/layers.lock", "overlay-containers/containers.lock"} {
		name = filepath.Join(s.root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDONLY, 0o644)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return os.RemoveAll(s.etc)
}

func (s *store) remove(ctx context.Context) error {
	return errors.Join(removeAll(ctx, s.root), os.RemoveAll(s.etc))
}

// storeRecipe changes when the stores of an older saigen must not be used any more.
const storeRecipe = "1"

// MachineStore returns a containers-storage root that holds the image as ref. It is used read-only, as an additional
// image store of an engine.
func (c *Cache) MachineStore(ctx context.Context, b Built, say Say) (root, ref string, err error) {
	ref = "localhost/saigen-machine:" + b.Short()
	root, err = c.store(ctx, []member{{b, ref}}, "machine", say)
	return root, ref, err
}

// ServiceStore returns one containers-storage root that holds each image as localhost/<its name>:latest. Its files
// belong to root; an account sees it through an idmapped mount.
func (c *Cache) ServiceStore(ctx context.Context, bs []Built, say Say) (root string, err error) {
	return c.store(ctx, serviceMembers(bs), "service", say)
}

func serviceMembers(bs []Built) []member {
	members := make([]member, 0, len(bs))
	for _, b := range bs {
		members = append(members, member{b, "localhost/" + b.Image.Name + ":latest"})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.ref, b.ref) })
	return members
}

type member struct {
	built Built
	ref   string
}

func (c *Cache) store(ctx context.Context, members []member, kind string, say Say) (string, error) {
	sum := sha256.New()
	_, _ = fmt.Fprintln(sum, "store", storeRecipe, kind)
	for _, m := range members {
		_, _ = fmt.Fprintln(sum, m.built.content(), m.ref, m.built.changes())
	}
	hash := hex.EncodeToString(sum.Sum(nil))
	what := fmt.Sprintf("%s store (%s)", kind, hash[:12])
	dir, _, err := c.entry(ctx, "stores", hash, what, say, func(tmp string, log io.Writer) error {
		if os.Geteuid() != 0 {
			return errors.New("an image store needs root; as a normal user, use the qemu driver")
		}
		return errors.Join(
			writeName(tmp, kind+" store"),
			fillStore(ctx, tmp, "root", what, members, log, say))
	})
	if err != nil {
		return "", infra("cannot make the "+what, err, c.failedLog("stores", hash))
	}
	return filepath.Join(dir, "root"), nil
}

// fillStore makes a store of the images, with a name in a new entry of the cache.
func fillStore(ctx context.Context, entry, name, what string, members []member, log io.Writer, say Say) error {
	s, err := openStore(entry, name, log)
	if err != nil {
		return err
	}
	for _, m := range members {
		began := time.Now()
		say("%s: importing image.%s", what, m.built.Image.Name)
		if err := s.add(ctx, m.built, m.ref); err != nil {
			return fmt.Errorf("cannot import image.%s: %w", m.built.Image.Name, err)
		}
		say("%s: imported image.%s in %.1f s", what, m.built.Image.Name, time.Since(began).Seconds())
	}
	return s.seal(ctx)
}
