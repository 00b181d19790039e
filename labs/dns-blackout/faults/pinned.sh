#!/bin/sh
# 3 is NET_ADDR_SET: somebody has set the address, and the kernel leaves it alone.
set -eu
kind=$(nsenter --net --target "$(pgrep -u alice -x aardvark-dns)" unshare --mount sh -c 'mount -t sysfs sysfs /sys; cat /sys/class/net/podman1/addr_assign_type')
[ "$kind" = 3 ]
