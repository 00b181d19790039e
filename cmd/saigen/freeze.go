package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/saigen-lab/saigen/diff"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
)

const (
	filesFile    = "files.json" // of the run: size and hash of each of the lab's files
	frozenFolder = "lab"        // of the run: copies of them
)

// The lab's files are copied up to these sizes; what is larger is known by its hash only.
const (
	mostOfFile = 1 << 20
	mostOfLab  = 16 << 20
)

// freeze keeps the lab's files as they are now: a run whose inputs were not recorded cannot exist.
func (s *session) freeze(file *labfile.File, labs []*lab.Lab) error {
	files := map[string]diff.File{}
	folders := map[string]bool{file.Dir: true}
	for _, l := range labs { // what an include brings from beside the lab's folder
		for _, p := range pathsOf(l) {
			if at := filepath.Join(l.Dir, string(p)); !strings.HasPrefix(at, file.Dir+string(filepath.Separator)) {
				folders[at] = true
			}
		}
	}
	var copied int64
	for from := range folders {
		if err := s.freezeFolder(file.Dir, from, files, &copied); err != nil {
			return fmt.Errorf("cannot keep the lab's files: %w", err)
		}
	}
	data, err := json.MarshalIndent(files, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.folder, filesFile), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot keep the lab's files: %w", err)
	}
	return nil
}

// pathsOf are the files and folders that a lab names.
func pathsOf(l *lab.Lab) []lab.Path {
	out := []lab.Path{l.Story}
	for _, i := range l.Images {
		out = append(out, i.Go, i.NPM)
		for _, c := range i.C {
			out = append(out, c.Source)
		}
	}
	for _, st := range l.Stacks {
		out = append(append(out, st.Compose), st.Files...)
	}
	for _, r := range l.Remedies {
		out = append(out, r.Run)
	}
	var named []lab.Path
	for _, p := range out {
		if p != "" {
			named = append(named, p)
		}
	}
	return named
}

func (s *session) freezeFolder(dir, from string, files map[string]diff.File, copied *int64) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && path != from && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"): // no part of an image
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		files[filepath.ToSlash(name)] = diff.File{Size: int64(len(data)), Hash: hex.EncodeToString(sum[:])}
		if len(data) > mostOfFile || *copied+int64(len(data)) > mostOfLab || !filepath.IsLocal(name) {
			return nil
		}
		*copied += int64(len(data))
		to := filepath.Join(s.folder, frozenFolder, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o644)
	})
}
