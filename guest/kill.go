package guest

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// killTree kills a command and what it started: its descendants, and every process that is still in the session of
// which the command is the leader, also when its parent has gone. What has made itself a daemon (a session of its own,
// and no parent in the tree, as a container's conmon) is left alone: stopping that is podman's business.
func killTree(leader int) {
	// A process can fork between the look and the kill, so look again until nothing is found.
	for range 20 {
		found := tree(leader)
		if len(found) == 0 {
			return
		}
		for _, pid := range found {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// tree lists the living processes of the command.
func tree(leader int) []int {
	all := processes()
	mine := map[int]bool{leader: true}
	for grew := true; grew; {
		grew = false
		for _, p := range all {
			if !mine[p.pid] && (mine[p.ppid] || p.session == leader) {
				mine[p.pid], grew = true, true
			}
		}
	}
	var out []int
	for _, p := range all {
		if mine[p.pid] && p.state != 'Z' && p.state != 'X' {
			out = append(out, p.pid)
		}
	}
	return out
}

type procStat struct {
	pid, ppid, session int
	state              byte
}

// processes reads /proc/*/stat, as little of it as is needed here.
func processes() []procStat {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var out []procStat
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, ok := readStat(pid); ok {
			out = append(out, p)
		}
	}
	return out
}

func readStat(pid int) (procStat, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, false
	}
	// The name in brackets may hold anything; what follows its last bracket is: state ppid pgrp session …
	i := bytes.LastIndexByte(data, ')')
	if i < 0 {
		return procStat{}, false
	}
	f := bytes.Fields(data[i+1:])
	if len(f) < 4 {
		return procStat{}, false
	}
	ppid, err1 := strconv.Atoi(string(f[1]))
	session, err2 := strconv.Atoi(string(f[3]))
	return procStat{pid, ppid, session, f[0][0]}, err1 == nil && err2 == nil
}
