#!/bin/sh
# An address that was set cannot be unset: it goes with the bridge, when the last container leaves the network. It harms nobody.
