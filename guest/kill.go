package guest

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// killTree kills a command and what it started: its descendants, and every process that is still in the session of
// which the command is the leader, also when its parent has gone. What has made itself a daemon (a session of its own,
// and no parent in the tree, as a container's conmon) is left alone: stopping that is podman's business.
//
// It returns when they are dead, which on a busy host is a while after they were killed, or after killTime: a process that
// waits for a disk dies when the disk has answered.
func killTree(leader int) {
	// A process can fork between the look and the kill, so look again until nothing is found.
	for deadline := time.Now().Add(killTime); time.Now().Before(deadline); {
		found := tree(leader)
		if len(found) == 0 {
			return
		}
		var dying []int
		beyond := 0 // whom this user may not kill: another user's, behind sudo
		for _, pid := range found {
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				continue // it has ended
			}
			switch err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); {
			case err == nil:
				dying = append(dying, fd)
				continue
			case errors.Is(err, unix.EPERM):
				beyond++
			}
			_ = unix.Close(fd)
		}
		if beyond == len(found) {
			return
		}
		for _, fd := range dying {
			awaitEnd(fd, deadline)
			_ = unix.Close(fd)
		}
	}
}

// killTime is less than killGrace, in which the host wants to hear that the command is dead.
const killTime = 4 * time.Second

// awaitEnd returns when the process of a pidfd has ended, which makes it readable (pidfd_open(2)), or at a deadline.
func awaitEnd(pidfd int, deadline time.Time) {
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
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
