package guest

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/saigen-lab/saigen/lab"
)

// The operations of a request.
const (
	opHello    = "hello"
	opClock    = "clock"
	opRun      = "run"
	opPut      = "put"
	opWatch    = "watch"
	opAccounts = "accounts"
	opResume   = "resume"
)

// request is the header of a stream. Exactly the field named after Op is set.
type request struct {
	Op       string         `json:"op"`
	Run      *runRequest    `json:"run,omitempty"`
	Put      *putRequest    `json:"put,omitempty"`
	Watch    *lab.Probe     `json:"watch,omitempty"`
	Accounts []lab.Account  `json:"accounts,omitempty"`
	Resume   *resumeRequest `json:"resume,omitempty"`
}

// runRequest is a lab.Command without its streams.
type runRequest struct {
	Argv    []string    `json:"argv"`
	Account string      `json:"account,omitempty"`
	Dir     string      `json:"dir,omitempty"`
	Env     []string    `json:"env,omitempty"`
	Stdin   bool        `json:"stdin,omitempty"` // data frames follow; otherwise stdin is empty
	TTY     *ttyRequest `json:"tty,omitempty"`
}

type ttyRequest struct {
	Term       string `json:"term"`
	Rows, Cols uint16
}

// runAnswer is how a command ended. What it wrote went ahead of it.
type runAnswer struct {
	Code   int           `json:"code"`
	Signal string        `json:"signal,omitempty"`
	Took   time.Duration `json:"took"`
}

type putRequest struct {
	Path  string      `json:"path"`
	Mode  fs.FileMode `json:"mode"`
	Owner string      `json:"owner,omitempty"`
}

// helloAnswer says who the agent is.
type helloAnswer struct {
	Version string    `json:"version"`
	Boot    time.Time `json:"boot"`
}

// clockAnswer is what the machine's clock shows. It takes the agent next to nothing, which is what makes it exact.
type clockAnswer struct {
	Now time.Time `json:"now"`
}

// failure is an error on its way to the host. It becomes a *lab.InfraError there.
type failure struct {
	What string `json:"what"`
	Hint string `json:"hint,omitempty"`
	Tail string `json:"tail,omitempty"`
	Err  string `json:"err,omitempty"`
}

func failureOf(err error) failure {
	var infra *lab.InfraError
	if !errors.As(err, &infra) {
		return failure{What: err.Error()}
	}
	f := failure{What: err.Error(), Hint: infra.Hint, Tail: infra.Tail}
	if infra.Err != nil && err.Error() == infra.Error() { // not wrapped in more words
		f.What, f.Err = infra.What, infra.Err.Error()
	}
	return f
}

func (f failure) error() error {
	e := &lab.InfraError{What: f.What, Hint: f.Hint, Tail: f.Tail}
	if f.Err != "" {
		e.Err = errors.New(f.Err)
	}
	return e
}

// errOtherBuild means that host and agent are not the same binary. Trying again does not help.
var errOtherBuild = errors.New("the agent in the machine is not the same build as this saigen")

// Build names this binary: what its linker wrote into it, or the hash of the file. Host and agent must have the
// same one, because settings and observations travel between them as their structs happen to be.
var Build = sync.OnceValue(func() string {
	const self = "/proc/self/exe"
	if f, err := elf.Open(self); err == nil {
		defer f.Close()
		for _, name := range []string{".note.go.buildid", ".note.gnu.build-id"} {
			s := f.Section(name)
			if s == nil {
				continue
			}
			// A note is three words of header, the owner's name padded to four bytes, then the id.
			if data, err := s.Data(); err == nil && len(data) > 32 {
				sum := sha256.Sum256(data)
				return hex.EncodeToString(sum[:12])
			}
		}
	}
	f, err := os.Open(self)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "unknown"
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
})

// muxConfig is the same on both sides. There is no keepalive: a socket shows its end, an agent that starts again says so,
// and a machine that is paused for a snapshot must not lose its connection.
func muxConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	c.EnableKeepAlive = false
	c.ConnectionWriteTimeout = time.Minute
	c.LogOutput = io.Discard // a lost connection is an error of the request that was using it
	return c
}
