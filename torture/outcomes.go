package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// outcomes are those of a run's trials that can be read.
func (h *host) outcomes(run lab.RunID) (all []runner.Outcome) {
	if run == "" {
		return nil
	}
	files, _ := filepath.Glob(filepath.Join(h.folder(), string(run), "*", runner.VerdictFile))
	for _, f := range files {
		var o runner.Outcome
		data, err := os.ReadFile(f)
		if err == nil && json.Unmarshal(data, &o) == nil {
			all = append(all, o)
		}
	}
	return all
}
