#!/bin/sh
# The advice that podman itself prints. It prevents the next time; of what has happened it cures nothing.
set -eu
loginctl enable-linger bob
