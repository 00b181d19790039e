package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/runner"
)

// storedRun is a run whose evidence is on this host.
type storedRun struct {
	runInfo
	folder string
}

// stored finds a run by its id, or by its folder, which may have come from another host. Without a name it is the newest.
func (w *world) stored(given string) (storedRun, error) {
	if given == "" || !strings.ContainsRune(given, filepath.Separator) {
		info, p, err := w.findRun(given, func(runInfo) bool { return true }, "there is no run yet: saigen run LAB makes one")
		return storedRun{info, filepath.Join(p.runs, string(info.ID))}, err
	}
	data, err := os.ReadFile(filepath.Join(given, runInfoFile))
	if err != nil {
		return storedRun{}, usage("there is no run in %q: a run's folder has a %s", given, runInfoFile)
	}
	var info runInfo
	if err := json.Unmarshal(data, &info); err != nil {
		return storedRun{}, usage("cannot read %s: %v", filepath.Join(given, runInfoFile), err)
	}
	return storedRun{info, filepath.Clean(given)}, nil
}

// trials reads the evidence of every trial of a run that was completed.
func (w *world) trials(r storedRun) ([]*runner.Trial, error) {
	trials, err := runner.ReadTrials(r.folder, w.thaw)
	if err != nil {
		return nil, usage("run %s: %v", r.ID, err)
	}
	if len(trials) == 0 {
		return nil, usage("run %s has no verdict: no trial was completed; its events are in %s", r.ID, filepath.Join(r.folder, runner.EventsFile))
	}
	return trials, nil
}

func (w *world) thaw(data []byte) (*lab.Lab, error) { return labfile.Frozen(data, w.kinds) }

// trialName tells trials of a run apart: the variant, and the repetition where there are several.
func trialName(o *runner.Outcome, all []*runner.Trial) string {
	name := o.Variant.String()
	if name == "" {
		name = "the only variant"
	}
	repeated := slices.ContainsFunc(all, func(t *runner.Trial) bool {
		return t.Outcome.Trial != o.Trial && t.Outcome.Variant.String() == o.Variant.String()
	})
	if repeated {
		name += fmt.Sprintf(" trial %d", o.Trial)
	}
	return name
}
