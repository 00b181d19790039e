package guest

import (
	"os"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// TestMain lets the test binary be the agent, as saigen's own binary is: host and agent must be the same build.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "guest" {
		os.Exit(Main(os.Args[2:], testKinds()))
	}
	os.Exit(m.Run())
}

func testKinds() []lab.Kind[lab.Observer] {
	return []lab.Kind[lab.Observer]{
		{Name: "fake", New: func() lab.Observer { return &fakeKind{Answer: "default"} }},
		{Name: "place", New: func() lab.Observer { return &placeKind{} }},
	}
}
