package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Role is what an image is for: a machine has an init and saigen's agent, a service is only what a container runs.
type Role string

// The roles.
const (
	Machine Role = "machine"
	Service Role = "service"
)

// Package is one thing that went into an image, with its version: a Debian package, or for a Go program the toolchain
// and the modules that are in it.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch,omitempty"`
	From    string `json:"from,omitempty"` // empty: Debian's archive
}

// Where packages are from, besides Debian's archive.
const (
	fromGo  = "go"  // a module in a Go program, or the toolchain that compiled it
	fromC   = "c"   // what compiled a C program; it is not in the image
	fromNPM = "npm" // npm's registry
)

// Built is an image that is in the cache.
type Built struct {
	Image    lab.Image
	Role     Role
	Hash     string        // 64 hex digits
	Tar      string        // the root filesystem; for an OCI image, an oci-archive
	Packages []Package     // sorted by name; empty for an OCI image
	Cached   bool          // it was there already
	Took     time.Duration // of this call
}

// Short is the hash as messages and references carry it.
func (b Built) Short() string { return b.Hash[:12] }

// Say reports one step to whoever watches.
type Say = func(format string, args ...any)

// Cache is the image cache in one folder. Several processes may use the same folder at once.
// What it has returned is in use until Close or the end of the process, and is not pruned.
type Cache struct {
	dir string
	log *slog.Logger

	mu   sync.Mutex
	held map[string]*lock // by folder
}

// New returns the cache in dir, which is made when it is first needed.
func New(dir string, log *slog.Logger) *Cache { return &Cache{dir: dir, log: log} }

// builder makes the file that holds an image.
type builder interface {
	// key names everything that the image depends on.
	key(ctx context.Context) ([]byte, error)
	// build writes tmp/rootfs.tar and returns what went into it. It may use the rest of tmp and should leave nothing else.
	build(ctx context.Context, tmp string, log io.Writer, say Say) ([]Package, error)
}

const (
	tarName  = "rootfs.tar"
	infoName = "image.json"
	logName  = "build.log"
)

// info is what image.json in the folder of an image holds.
type info struct {
	Image    lab.Image `json:"image"`
	Role     Role      `json:"role"`
	Made     time.Time `json:"made"`
	Packages []Package `json:"packages,omitempty"`
}

// Build finds the image in the cache or builds it, which may take minutes. labDir is the lab's folder, where the
// source of a Go image lies. A failure is a lab.InfraError, a wrong declaration is not. The same image asked for twice at once is built once.
func (c *Cache) Build(ctx context.Context, img lab.Image, role Role, labDir string, say Say) (Built, error) {
	began := time.Now()
	b, err := c.builder(img, role, labDir)
	if err != nil {
		return Built{}, fmt.Errorf("cannot build image.%s: %v", img.Name, err)
	}
	built, err := c.made(ctx, img, role, b, say, nil)
	if err != nil {
		return Built{}, err
	}
	if built.Took = time.Since(began); !built.Cached {
		say("image.%s (%s): built in %.1f s", img.Name, built.Short(), built.Took.Seconds())
	}
	return built, nil
}

// made finds the image of a builder in the cache or has it built. tell is used while it is built; nil: say, with the image's name.
func (c *Cache) made(ctx context.Context, img lab.Image, role Role, b builder, say, tell Say) (Built, error) {
	key, err := b.key(ctx)
	if err != nil {
		return Built{}, infra("cannot build image."+img.Name, err, "")
	}
	sum := sha256.Sum256(key)
	hash := hex.EncodeToString(sum[:])
	what := fmt.Sprintf("image.%s (%s)", img.Name, hash[:12])
	if tell == nil {
		tell = func(format string, args ...any) { say("%s: %s", what, fmt.Sprintf(format, args...)) }
	}
	dir, made, err := c.entry(ctx, "images", hash, what, say, func(tmp string, log io.Writer) error {
		var packages []Package
		err := bounded(ctx, tmp, func(ctx context.Context) (err error) {
			packages, err = b.build(ctx, tmp, log, tell)
			return err
		})
		if err != nil {
			return err
		}
		return writeInfo(tmp, info{Image: img, Role: role, Made: time.Now().UTC(), Packages: packages})
	})
	if err != nil {
		return Built{}, infra("cannot build "+what, err, c.failedLog("images", hash))
	}
	in, err := readInfo(dir)
	if err != nil {
		return Built{}, fmt.Errorf("cannot read %s: %v; remove the folder %s", what, err, dir)
	}
	return Built{Image: img, Role: role, Hash: hash, Tar: filepath.Join(dir, tarName), Packages: in.Packages, Cached: !made}, nil
}

func (c *Cache) builder(img lab.Image, role Role, labDir string) (builder, error) {
	if role != Machine && role != Service {
		return nil, fmt.Errorf("%q is no role of an image", role)
	}
	switch {
	case img.Debian != "":
		return c.newDebian(img, role, labDir)
	case img.Go != "":
		if role == Machine {
			return nil, fmt.Errorf("a machine needs a Debian image; a Go program has no init")
		}
		return c.newGoImage(img, labDir)
	case img.OCI != "":
		return newOCI(img)
	}
	return nil, fmt.Errorf("it has none of debian, go and oci")
}

func writeInfo(dir string, in info) error {
	data, err := json.MarshalIndent(in, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, infoName), append(data, '\n'), 0o644)
}

func readInfo(dir string) (info, error) {
	var in info
	data, err := os.ReadFile(filepath.Join(dir, infoName))
	if err != nil {
		return in, err
	}
	return in, json.Unmarshal(data, &in)
}
