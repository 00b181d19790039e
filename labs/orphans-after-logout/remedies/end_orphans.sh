#!/bin/sh
# End the containers that run without podman knowing it, and bring the stack up: each conmon whose container podman ps does not list, or
# lists with another process. The port is free then, and podman and podman-compose have nothing to complain of; the dead addresses stay.
set -eu
cd ~/bob
known=$(podman ps -q --no-trunc | xargs -r podman inspect -f '{{.State.Pid}}')
for conmon in $(pgrep -u "$(id -u)" -x conmon); do
	pid=$(pgrep -P "$conmon" || true)
	case " $(echo $known) " in
	*" $pid "*) ;;
	*) kill -KILL $pid "$conmon" ;;
	esac
done
podman-compose up -d >~/up.log 2>&1
echo "podman-compose up -d ended with code $?: $(grep -m 1 -o 'rootlessport listen.*' ~/up.log || true)" >~/up.txt
podman ps -a >~/list.txt 2>/dev/null
