#!/bin/sh
# Loaded dice: the app's end on the bridge gets the lowest address that the kernel could have rolled, the worker learns which
# address the bridge has now, and the app is deployed again.
#
# A lookup that is answered in the very moment when the bridge changes its address saves the worker: the answer makes the bridge
# ask all containers for the worker, and so they learn its new address. Then it is done again.
set -eu
net() { pid=$1; shift; podman unshare nsenter --net --target "$pid" "$@"; }
bridge() { net "$(pgrep -u alice -x aardvark-dns)" "$@"; }
app() { net "$(podman inspect -f '{{.State.Pid}}' app)" "$@"; }
worker() { net "$(podman inspect -f '{{.State.Pid}}' worker)" "$@"; }
address() { bridge ip -o link show type bridge | sed 's/.*ether \([^ ]*\) .*/\1/'; }
known() { worker ip neigh show 10.89.0.1 | sed -n 's/.*lladdr \([^ ]*\) .*/\1/p'; }

cd ~/alice
for try in 1 2 3 4 5; do
	index=$(app ip -o link show eth0 | sed 's/.*@if\([0-9]*\):.*/\1/')
	port=$(bridge ip -o link | sed -n "s/^$index: \([^@]*\)@.*/\1/p")
	bridge ip link set dev "$port" address 02:00:00:00:00:01

	before=$(address)
	worker ip neigh flush dev eth0
	deadline=$(($(date +%s) + 10))
	until [ "$(known)" = "$before" ]; do
		[ "$(date +%s)" -lt "$deadline" ] || { echo "the worker does not learn $before"; exit 1; }
	done

	podman rm -f -t 1 app
	podman-compose up -d
	after=$(address)
	echo "try $try: the bridge had $before, and has $after; the worker knows $(known)"
	[ "$before" != "$after" ] || exit 0 # the bridge does not follow its ports
	[ "$(known)" = "$after" ] || exit 0
done
echo "a lookup was answered in that very moment, five times"
exit 1
