#!/bin/sh
# Delete the DNS file under the running containers and have aardvark-dns read its configuration again.
# With no file left it ends, and nobody answers any more.
set -eu
dns="$XDG_RUNTIME_DIR/containers/networks/aardvark-dns"
rm "$dns/alice_default"
kill -HUP "$(cat "$dns/aardvark.pid")"
podman restart proxy
