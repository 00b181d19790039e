package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/saigen-lab/saigen/lab"
)

// baselineKey names everything of a lab that its baseline depends on. What is done from the baseline on (faults, symptoms,
// invariants, remedies) and what is only said (titles, hints, the expected verdict) is not in it, so that editing these
// starts from the same snapshot; two variants that differ in nothing else share one. What images are built to, and what builds
// and runs them, is the driver's part of the key. salt, where there is any, keeps the snapshot from being found by others.
func baselineKey(l *lab.Lab, ready []lab.Assertion, salt string) (string, error) {
	type file struct {
		Path lab.Path    `json:"path"`
		Mode fs.FileMode `json:"mode"`
		Hash string      `json:"hash"`
	}
	type probe struct {
		Kind     string          `json:"kind"`
		Machine  lab.MachineRef  `json:"machine"`
		Settings json.RawMessage `json:"settings"`
	}
	// The order of the fields and of the lists is the form; a change of what the runner does to reach the baseline is a new version.
	in := struct {
		Version  int           `json:"version"`
		Salt     string        `json:"salt,omitempty"`
		Vagrant  *lab.Vagrant  `json:"vagrant,omitempty"`
		Images   []lab.Image   `json:"images"`
		Machines []lab.Machine `json:"machines"`
		Stacks   []lab.Stack   `json:"stacks"`
		Ready    []probe       `json:"ready"`
		Files    []file        `json:"files"`
	}{Version: 1, Salt: salt, Vagrant: l.Vagrant, Images: l.Images, Machines: l.Machines, Stacks: l.Stacks}
	for _, p := range ready {
		in.Ready = append(in.Ready, probe{p.Kind, p.Machine, p.Settings})
	}
	var paths []lab.Path
	if l.Vagrant != nil && l.Vagrant.File != "" {
		paths = append(paths, l.Vagrant.File)
	}
	for _, s := range l.Stacks {
		paths = append(append(paths, s.Compose), s.Files...)
	}
	if len(paths) > 0 {
		root, err := os.OpenRoot(l.Dir)
		if err != nil {
			return "", err
		}
		defer root.Close()
		for _, p := range paths {
			name := filepath.Clean(string(p))
			info, err := root.Stat(name)
			if err != nil {
				return "", err
			}
			data, err := root.ReadFile(name)
			if err != nil {
				return "", err
			}
			hash := sha256.Sum256(data)
			in.Files = append(in.Files, file{p, info.Mode().Perm(), hex.EncodeToString(hash[:])})
		}
	}
	form, err := json.Marshal(in)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(form)
	return hex.EncodeToString(sum[:]), nil
}

// salt is what keeps the snapshots of a fresh run apart from stored ones: the run makes its own, once, and its later arms
// start from that.
func (r *Runner) salt() string {
	if r.Fresh {
		return string(r.Run)
	}
	return ""
}
