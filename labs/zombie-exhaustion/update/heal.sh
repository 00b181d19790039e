#!/bin/bash
# Where no process is to be had only the shell's own commands work: kill is one. With the first process of its pid
# namespace everything in it goes away, zombies too.
for d in /proc/[0-9]*; do
  if read -r name <"$d/comm" && [ "$name" = agent ]; then kill -KILL "${d#/proc/}"; fi
done 2>/dev/null
cd ~/agent || exit 1
sed -i 's|^LIBRARY=.*|LIBRARY=|' .env && podman-compose up -d
