#!/bin/sh
# What bob types in a new terminal. It leaves what he saw: list.txt is podman's list before he began, up.txt one line of how
# podman-compose ended and what went by meanwhile.
cd ~/bob || exit
podman ps -a >~/list.txt 2>/dev/null
podman-compose up -d >~/up.log 2>&1
echo "podman-compose up -d ended with code $?: $(grep -m 1 -o 'rootlessport listen.*' ~/up.log)" >~/up.txt
cat ~/up.log
