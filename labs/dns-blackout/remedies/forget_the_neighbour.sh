#!/bin/sh
# The worker's container forgets which address the bridge has, and asks for it. No root is needed.
set -eu
podman unshare nsenter --net --target "$(podman inspect -f '{{.State.Pid}}' worker)" ip neigh flush dev eth0
# A lookup that was under way fails yet.
deadline=$(($(date +%s) + 10))
until [ "$(podman logs --tail 1 worker 2>&1)" = worked ]; do
	[ "$(date +%s)" -lt "$deadline" ] || { echo "the worker does not work"; exit 1; }
done
