#!/bin/sh
# Take everything down and start again. Now that podman knows everything that runs, it takes down everything: all lines of a container go with
# it, for they have its id. list.txt and up.txt are left as bob's own script leaves them.
set -eu
cd ~/bob
podman-compose down
podman ps -a >~/list.txt 2>/dev/null
podman-compose up -d >~/up.log 2>&1
echo "podman-compose up -d ended with code $?: $(grep -m 1 -o 'rootlessport listen.*' ~/up.log || true)" >~/up.txt
