#!/bin/sh
# What everybody tries first: take it down, bring it up. deploy.log is what podman-compose says, as at the deployment before.
cd ~/alice || exit 1
podman system migrate
podman-compose down -t 1
podman-compose up -d > deploy.log 2>&1
exit 0
