package container

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
)

// starting guards the process environment while testcontainers reads it.
var starting sync.Mutex

// provider makes testcontainers use one engine. The library finds its engine once per process, by asking the one that
// the environment names for everything about it, which takes podman more than a second. It is shown a stand-in for that
// moment, and then gets the engine's own client. Its reaper is off, because the ledger does that work.
func provider(e *engine) (_ *testcontainers.DockerProvider, err error) {
	starting.Lock()
	defer starting.Unlock()
	tclog.SetDefault(tclog.NewNoopLogger())
	host, stop, err := standIn()
	if err != nil {
		return nil, fmt.Errorf("cannot use testcontainers: %w", err)
	}
	defer stop()
	for name, value := range map[string]string{"DOCKER_HOST": host, "TESTCONTAINERS_RYUK_DISABLED": "true"} {
		old, had := os.LookupEnv(name)
		if err := os.Setenv(name, value); err != nil {
			return nil, fmt.Errorf("cannot use testcontainers: %w", err)
		}
		defer func() {
			if had {
				err = errors.Join(err, os.Setenv(name, old))
			} else {
				err = errors.Join(err, os.Unsetenv(name))
			}
		}()
	}
	network := "podman"
	if e.docker {
		network = "bridge"
	}
	p, err := testcontainers.NewDockerProvider(
		testcontainers.WithDefaultBridgeNetwork(network),
		testcontainers.Generic2DockerOptions(testcontainers.WithLogger(tclog.NewNoopLogger()))[0],
	)
	if err != nil {
		return nil, fmt.Errorf("cannot use testcontainers: %w", err)
	}
	if !p.Config().Config.RyukDisabled {
		return nil, errors.New("cannot use testcontainers: its reaper is on; unset ryuk.disabled in ~/.testcontainers.properties")
	}
	p.SetClient(e.api)
	return p, nil
}

// standIn is an engine that knows nothing about itself, on an abstract socket.
func standIn() (host string, stop func(), err error) {
	l, err := net.Listen("unix", fmt.Sprintf("@saigen-%d-%d", os.Getpid(), time.Now().UnixNano()))
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{
		ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("{}"))
		}),
	}
	go func() { _ = s.Serve(l) }()
	return "unix://" + l.Addr().String(), func() { _ = s.Close() }, nil
}
