package container

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
)

// starting guards the process environment while testcontainers reads it.
var starting sync.Mutex

// provider makes testcontainers use one engine. The library finds its engine once per process, through the
// environment, which is too early and too few for us: what it found is replaced by the engine's own client. Its reaper
// is off, because the ledger does that work.
func provider(e *engine) (_ *testcontainers.DockerProvider, err error) {
	starting.Lock()
	defer starting.Unlock()
	tclog.SetDefault(tclog.NewNoopLogger())
	for name, value := range map[string]string{"DOCKER_HOST": e.host, "TESTCONTAINERS_RYUK_DISABLED": "true"} {
		old, had := os.LookupEnv(name)
		if err := os.Setenv(name, value); err != nil {
			return nil, err
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
	p.SetClient(e.api)
	return p, nil
}

// drain reads a stream of progress messages to its end.
func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
