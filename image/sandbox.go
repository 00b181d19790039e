package image

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A compiler reads what a lab brings, and so does the go command when it looks for modules. They run on the host, but in a
// sandbox: mount, PID, IPC and UTS namespaces, and one of the network but for downloads; a root folder that has
// nothing of the host but what is named below; nobody's ids, no privileges and none to get (for a normal user these are subordinate
// ids of his own user namespace). A sandbox is a shell script that command runs in namespaces, and that begins with
// sandboxScript.
//
// What can be compiled into memory is bounded per process only: RLIMIT_AS. Where many together want more than the host has, the
// kernel ends them before anything else (oom_score_adj).

// sandboxScript defines what the scripts of sandboxes are made of. $root is where the sandbox's root folder is mounted,
// $limits are arguments of prlimit, $folder is where programs begin; the function with runs one in an environment.
const sandboxScript = `set -eu
umask 022
echo 1000 >/proc/self/oom_score_adj
PATH=$PATH:/usr/sbin:/sbin
prlimit=$(command -v prlimit) setpriv=$(command -v setpriv) unshare=$(command -v unshare)

# inside NETWORK PROGRAM ARGUMENT…: NETWORK is --net for one of its own, which is empty, or --uts for the host's.
inside() {
	own=$1
	shift
	with "$prlimit" $limits -- "$setpriv" --no-new-privs -- \
		"$unshare" "$own" --ipc --uts --root="$root" --wd="$folder" --setgid=65534 --setuid=65534 -- "$@"
}

# memory FOLDER BYTES MODE: a file system in memory that holds no more than that.
memory() {
	mkdir -p "$1"
	mount -t tmpfs -o "size=$2,mode=$3,nosuid,nodev" none "$1"
}

# shows NAME…: files and folders of the host that the sandbox has in the same place, to read.
shows() {
	for name; do
		if [ -d "$name" ]; then
			mkdir -p "$root$name"
		else
			mkdir -p "$root${name%/*}"
			: >"$root$name"
		fi
		mount --bind "$name" "$root$name"
		mount -o remount,bind,ro,nosuid,nodev "$root$name"
	done
}

# null makes /dev/null, which is the only device.
null() {
	mkdir -p "$root/dev"
	: >"$root/dev/null"
	mount --bind /dev/null "$root/dev/null"
}
`

// function is a function of a shell script that runs one command.
func function(name string, words ...string) string {
	return name + "() {\n\t" + quoted(words...) + "\n}\n"
}

// with is the function with: it gives a program this environment and nothing else.
func with(environment []string) string {
	return "with() {\n\tenv -i " + quoted(environment...) + " \"$@\"\n}\n"
}

// rlimits are the arguments of prlimit for a sandbox, each no higher than the host allows.
func rlimits(cpu, file, memory, processes uint64) string {
	var all []string
	for _, l := range []struct {
		flag string
		kind int
		most uint64
	}{
		{"core", unix.RLIMIT_CORE, 0},
		{"cpu", unix.RLIMIT_CPU, cpu},           // seconds, of each process
		{"fsize", unix.RLIMIT_FSIZE, file},      // bytes
		{"as", unix.RLIMIT_AS, memory},          // bytes, of each process
		{"nproc", unix.RLIMIT_NPROC, processes}, // of this user, threads included
		{"nofile", unix.RLIMIT_NOFILE, 1024},
	} {
		var host unix.Rlimit
		if unix.Getrlimit(l.kind, &host) == nil {
			l.most = min(l.most, host.Max)
		}
		all = append(all, fmt.Sprintf("--%s=%d", l.flag, l.most))
	}
	return strings.Join(all, " ")
}

// quoted writes words for a shell.
func quoted(words ...string) string {
	var all []string
	for _, w := range words {
		all = append(all, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return strings.Join(all, " ")
}

// proxies are what a download needs of the user's environment.
func proxies() []string {
	var all []string
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		if v, ok := os.LookupEnv(name); ok {
			all = append(all, name+"="+v)
		}
	}
	return all
}
