#!/bin/bash
# engine.sh FOLDER STORE COMMAND...: runs a command where podman, by hand, has what saigen's private engine has: namespaces and
# a cgroup of its own, a pure cgroup v2, its own storage in FOLDER, and the images of STORE read-only. When the command has ended,
# everything that it ran is gone.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

if [ "$1" != --inside ]; then
	name=by-hand-$$
	top=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET)
	mkdir "$top/$name"
	# Processes that were killed are gone in a moment; their cgroups can be removed then.
	trap 'for try in {1..100}; do find "$top/$name" -depth -type d -exec rmdir {} + 2>/dev/null && break; sleep 0.05; done' EXIT
	code=0
	setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child --mount-proc --net --ipc --uts \
		"$0" --inside "$name" "$@" || code=$?
	exit $code
fi

name=$2 dir=$3 store=$4
shift 4
while umount --lazy /sys/fs/cgroup 2>/dev/null; do :; done
mount -t cgroup2 none /sys/fs/cgroup
echo 0 >"/sys/fs/cgroup/$name/cgroup.procs"
exec unshare --cgroup bash -euo pipefail -c '
dir=$1 store=$2
shift 2
umount --lazy /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mkdir /sys/fs/cgroup/engine
echo 0 >/sys/fs/cgroup/engine/cgroup.procs
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do echo +$controller >/sys/fs/cgroup/cgroup.subtree_control; done
mkdir -p "$dir"/{root,run,tmp,networks}
mount -t tmpfs -o mode=755 none /run
ip link set lo up

# Where limits cannot be raised, podman must not try to.
ulimits= hard=$(ulimit -Hn) processes=$(ulimit -Hu) most=$(cat /proc/sys/kernel/pid_max)
if ! setpriv --dump | grep -q "Capability bounding set.*sys_resource"; then
	[ "$processes" != unlimited ] && [ "$processes" -lt "$most" ] || processes=$most
	ulimits="default_ulimits = [\"nofile=$hard:$hard\", \"nproc=$processes:$processes\"]"
fi
cat >"$dir/containers.conf" <<CONF
[containers]
$ulimits
pids_limit = 0
cgroupns = "private"
base_hosts_file = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
tmp_dir = "$dir/tmp"
[network]
network_backend = "netavark"
network_config_dir = "$dir/networks"
CONF
cat >"$dir/storage.conf" <<CONF
[storage]
driver = "overlay"
runroot = "$dir/run"
graphroot = "$dir/root"
[storage.options]
additionalimagestores = ["$store"]
CONF
export CONTAINERS_CONF=$dir/containers.conf CONTAINERS_STORAGE_CONF=$dir/storage.conf TMPDIR=$dir/tmp
exec "$@"
' engine "$dir" "$store" "$@"
