#!/bin/sh
# The app runs, and the container that had the lowest address is gone.
set -eu
[ "$(podman inspect -f '{{.State.Running}}' app)" = true ]
! podman unshare nsenter --net --target "$(pgrep -u alice -x aardvark-dns)" ip -o link show type veth | grep -q 'ether 02:00:00:00:00:01 '
