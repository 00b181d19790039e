package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// pinsFile is, in the user's state, which commits the branches and tags of fetched labs are.
const pinsFile = "fetched.lock.json"

// pinnedRef is what a branch or tag was when it was looked at last.
type pinnedRef struct {
	Commit string    `json:"commit"`
	At     time.Time `json:"at"`
}

// readPins reads them all, by address.
func readPins(p paths) (map[string]pinnedRef, error) {
	name := filepath.Join(p.state(), pinsFile)
	all := map[string]pinnedRef{}
	data, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return all, nil
	case err != nil:
		return nil, fmt.Errorf("cannot read what the branches of fetched labs are: %v", err)
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, usage("cannot read %s, which says what the branches of fetched labs are: %v; mend it, or remove it to have them looked up again", name, err)
	}
	return all, nil
}

// lockPin remembers one, beside what other processes remember meanwhile.
func lockPin(p paths, address string, now pinnedRef) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot remember which commit %s is: %w", address, err)
		}
	}()
	if err := os.MkdirAll(p.state(), 0o755); err != nil {
		return err
	}
	dir, err := os.Open(p.state())
	if err != nil {
		return err
	}
	defer dir.Close() // which ends the lock
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		err = unix.Flock(int(dir.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		return err
	}
	all, err := readPins(p)
	if err != nil {
		return err
	}
	all[address] = now
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(p.state(), "."+pinsFile+"-")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(data, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(p.state(), pinsFile))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
