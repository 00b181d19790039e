package runner

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/saigen-lab/saigen/lab"
)

// Trial is a stored trial: the lab as it was frozen, what was measured, and the verdict that was made of both.
type Trial struct {
	Lab     *lab.Lab
	Record  *Record
	Outcome *Outcome
}

// ReadTrials reads every trial of a run's folder that has a verdict, in the order in which they were made. thaw makes a lab of
// a lab.json. Without one of a trial's files there is an error: half of the evidence proves nothing.
func ReadTrials(run string, thaw func([]byte) (*lab.Lab, error)) ([]*Trial, error) {
	verdicts, err := filepath.Glob(filepath.Join(run, "*", VerdictFile))
	if err != nil {
		return nil, err
	}
	all := make([]*Trial, len(verdicts))
	var read errgroup.Group
	for i, v := range verdicts {
		read.Go(func() (err error) {
			all[i], err = ReadTrial(filepath.Dir(v), thaw)
			return err
		})
	}
	if err := read.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *Trial) int { return a.Outcome.Started.Compare(b.Outcome.Started) })
	return all, nil
}

// ReadTrial reads the folder of one trial.
func ReadTrial(folder string, thaw func([]byte) (*lab.Lab, error)) (*Trial, error) {
	var t Trial
	data, err := os.ReadFile(filepath.Join(folder, LabFile))
	if err != nil {
		return nil, fmt.Errorf("cannot read the evidence: %v", err)
	}
	if t.Lab, err = thaw(data); err != nil {
		return nil, fmt.Errorf("%s: %v", filepath.Join(folder, LabFile), err)
	}
	if data, err = os.ReadFile(filepath.Join(folder, VerdictFile)); err != nil {
		return nil, fmt.Errorf("cannot read the evidence: %v", err)
	}
	if err := json.Unmarshal(data, &t.Outcome); err != nil {
		return nil, fmt.Errorf("cannot read %s: %v", filepath.Join(folder, VerdictFile), err)
	}
	if t.Outcome == nil {
		return nil, fmt.Errorf("cannot read %s: it has no verdict", filepath.Join(folder, VerdictFile))
	}
	t.Record = &Record{Arms: t.Outcome.Arms}
	t.Record.Observations, err = readObservations(filepath.Join(folder, ObservationsFile))
	return &t, err
}

func readObservations(path string) (map[string]map[string][]lab.Observation, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the evidence: %v", err)
	}
	all := map[string]map[string][]lab.Observation{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for n := 1; lines.Scan(); n++ {
		var o StoredObservation
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return nil, fmt.Errorf("cannot read %s:%d: %v", path, n, err)
		}
		if all[o.Arm] == nil {
			all[o.Arm] = map[string][]lab.Observation{}
		}
		all[o.Arm][o.Address] = append(all[o.Arm][o.Address], o.Observation)
	}
	return all, nil
}
