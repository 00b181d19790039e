#!/bin/sh
# The limit that systemd sets on a Debian 12.
echo 4194304 >/proc/sys/kernel/pid_max
