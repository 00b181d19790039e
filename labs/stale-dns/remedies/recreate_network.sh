#!/bin/sh
# Remove the network too. podman removes its configuration, and netavark's DNS file stays where it is.
set -eu
cd ~/alice
podman rm -f proxy app
podman network rm alice_default
podman-compose up -d
