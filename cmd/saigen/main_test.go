package main

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/faults"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/labtest"
)

var update = flag.Bool("update", false, "write the golden files and docs/ instead of comparing with them")

// TestMain makes this test binary the command saigen, with the driver and the kinds of labtest besides the real ones.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"saigen": func() {
		os.Exit(enter(os.Args[1:], testDrivers(), testKinds(), testFetcher))
	}})
}

func testKinds() labfile.Kinds {
	return labfile.Kinds{
		Faults:     append(faults.Kinds(), labtest.Breakers()...),
		Assertions: append(assertions.Kinds(), labtest.Observers()...),
	}
}

// TestScripts runs testdata/script. Each script has folders of its own for HOME and XDG, a copy of testdata/labs in labs/,
// and besides testscript's commands those of scriptCommands.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		WorkdirRoot:         t.TempDir(), // testscript itself leaves its folder behind when only some scripts are run
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			e.Setenv("RUNS", filepath.Join(e.WorkDir, "state", "saigen", "runs"))
			e.Setenv("LANG", "C.UTF-8")
			e.Setenv("LABS", filepath.Join(repository(), "labs"))
			return errors.Join(
				os.Mkdir(filepath.Join(e.WorkDir, "home"), 0o755),
				os.CopyFS(filepath.Join(e.WorkDir, "labs"), os.DirFS("testdata/labs")),
			)
		},
		Cmds: scriptCommands(),
	})
}

func repository() string {
	here, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return filepath.Dir(filepath.Dir(here))
}
