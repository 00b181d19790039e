#!/bin/sh
# The address went with the container that had it. One that is still there, after half a deployment, is rolled anew.
set -eu
server=$(pgrep -u alice -x aardvark-dns) || exit 0
bridge() { podman unshare nsenter --net --target "$server" "$@"; }
port=$(bridge ip -o link show type veth | sed -n '/ether 02:00:00:00:00:01 /s/^[0-9]*: \([^@]*\)@.*/\1/p')
[ -z "$port" ] || bridge ip link set dev "$port" address "$(od -An -N5 -tx1 /dev/urandom | sed 's/ /:/g; s/^/02/')"
