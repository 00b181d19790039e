#!/bin/bash
# Restart the agent's container. podman restart needs a dozen processes to say so, and there is one: the shell's own kill
# needs none, and with the container's process 1 every zombie in it goes away.
for d in /proc/[0-9]*; do
  if read -r name <"$d/comm" && [ "$name" = agent ]; then kill -KILL "${d#/proc/}"; fi
done 2>/dev/null
podman restart -t 0 agent
