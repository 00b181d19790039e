package guest_test

import (
	"os"
	"testing"

	"github.com/saigen-lab/saigen/container"
	"github.com/saigen-lab/saigen/guest"
)

// TestMain lets the test binary be what saigen's own binary is: the agent in the machines, and for the tests that start
// machines the first process of the engine. Host and agent must be the same build.
func TestMain(m *testing.M) {
	if os.Getpid() == 1 && os.Args[0] == "/init" {
		initOfVM()
	}
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "tool":
			os.Exit(tool(os.Args[2]))
		case "guest":
			os.Exit(guest.Main(os.Args[2:], guest.KindsOfTheTests()))
		case "engine":
			os.Exit(container.EngineMain(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}
