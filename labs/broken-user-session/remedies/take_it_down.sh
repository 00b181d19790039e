#!/bin/sh
cd ~/alice || exit 1
podman-compose down -t 1
