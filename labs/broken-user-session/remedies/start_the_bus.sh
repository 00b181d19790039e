#!/bin/sh
# Instead of a new login: tell the user manager that runs.
set -e
XDG_RUNTIME_DIR=/run/user/$(id -u)
export XDG_RUNTIME_DIR
systemctl --user daemon-reload
systemctl --user start dbus.socket
