#!/bin/sh
# For an account that nobody is logged in as, this starts the user manager and makes /run/user/UID. For one that has a login open, logind
# thinks that it has started everything already.
set -e
loginctl enable-linger alice
uid=$(id -u alice)
for _ in $(seq 50); do
	if [ -S "/run/user/$uid/bus" ]; then break; fi
	sleep 0.1
done
