#!/bin/sh
# The diary's workaround: take everything down, remove the network, delete what aardvark-dns remembers, start again.
set -eu
cd ~/alice
dns="$XDG_RUNTIME_DIR/containers/networks/aardvark-dns"
podman-compose down
podman rm -fa
podman network rm -f alice_default
rm -f "$dns/alice_default"
podman-compose up -d
