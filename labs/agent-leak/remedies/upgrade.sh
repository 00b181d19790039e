#!/bin/sh
# The same agent, built with the release in which the map is gone. The clients stay as they are.
set -eu
cd ~/alice
sed -i 's/^AGENT=.*/AGENT=agent_upgraded/' .env
podman rm -f -t 1 agent
podman-compose up -d
