#!/bin/bash
# stale-dns.sh: what `saigen run labs/stale-dns debian:bookworm trigger:port_taken` does, as a script: two machines, in one of which
# the fault is injected, the same symptoms and invariants looked at as often, the same remedies, the same soak. It ends with code 0
# when it has seen the incident, and says what it has seen. Run by engine.sh, with
#
#	DIR       an empty folder        IMAGE     the machine's image, as podman knows it
#	LAB       the lab's folder       SERVICES  the store with the services' images
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")

fail() { echo "stale-dns.sh: $*" >&2; exit 1; }
say() { echo "$(date +%T.%2N) $*"; }

# until_ok SECONDS COMMAND...: waits until the command succeeds.
until_ok() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "still not so: $*"
		sleep 0.1
	done
}

# inside MACHINE COMMAND...: runs a command in a machine as root, with less ado than podman exec.
inside() { local m=$1; shift; nsenter --target "${init[$m]}" --all "$@"; }
declare -A init

# as MACHINE ACCOUNT COMMAND...: runs a command under the account's own systemd. What it leaves running goes on.
as() {
	local machine=$1 account=$2 uid=${uids[$2]}
	shift 2
	inside "$machine" setpriv --reuid "$uid" --regid "$uid" --init-groups --reset-env env "XDG_RUNTIME_DIR=/run/user/$uid" \
		"DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$uid/bus" systemd-run --user --quiet --wait --pipe --collect \
		--property=KillMode=process --working-directory="/home/$account/$account" "$@"
}

declare -A uids=([alice]=1000 [bob]=1001) subids=([alice]=100000 [bob]=165536) apps=([alice]=3000 [bob]=3001) proxies=([alice]=4430 [bob]=4431)

# start MACHINE: a machine with both accounts.
start() {
	local m=$1 dir=$DIR/$1 account volumes=()
	mkdir -p "$dir"/{home,containers,etc}
	printf '[containers]\npids_limit = 0\n' >"$dir/etc/50-limits.conf"
	for account in alice bob; do
		mkdir -p "$dir/images/$account"
		perl "$here/idmap.pl" "$SERVICES" "$dir/images/$account" "0:${uids[$account]}:1" "1:${subids[$account]}:65536"
		volumes+=(--volume "$dir/images/$account:/var/lib/images/$account:ro")
	done
	podman run --detach --quiet --name "$m" --hostname server --systemd=always --privileged --network none "${volumes[@]}" \
		--volume "$dir/home:/home" --volume "$dir/containers:/var/lib/containers" \
		--volume "$dir/etc/50-limits.conf:/etc/containers/containers.conf.d/50-limits.conf:ro" "$IMAGE" /sbin/init >/dev/null
	until_ok 60 is_running "$m"
	init[$m]=$(podman inspect --format '{{.State.Pid}}' "$m")
	inside "$m" sh -eu -s <<-'END'
		mount --make-rshared /
		chmod 666 /dev/net/tun /dev/fuse
		uid=1000
		for account in alice bob; do
			useradd --create-home --shell /bin/bash --uid $uid $account
			mkdir -p /home/$account/.config/containers
			printf '[storage]\ndriver = "overlay"\n[storage.options]\nadditionalimagestores = ["/var/lib/images/%s"]\n' $account >/home/$account/.config/containers/storage.conf
			chown -R $account: /home/$account
			loginctl enable-linger $account
			systemctl start user@$uid.service
			uid=$((uid + 1))
		done
	END
}

is_running() { # MACHINE
	case $(podman exec "$1" systemctl is-system-running --wait 2>/dev/null) in running | degraded) ;; *) return 1 ;; esac
}

# up MACHINE ACCOUNT: brings the account's stack up.
up() {
	local dir=$DIR/$1/home/$2/$2
	mkdir -p "$dir/nginx"
	cp "$LAB/compose.yaml" "$dir"
	cp "$LAB/nginx/nginx.conf" "$dir/nginx"
	printf 'APP_PORT=%s\nPROXY_PORT=%s\n' "${apps[$2]}" "${proxies[$2]}" >"$dir/.env"
	chown -R "${uids[$2]}:${uids[$2]}" "$dir"
	as "$1" "$2" podman-compose up -d >>"$DIR/$1/log" 2>&1
}

# page MACHINE ACCOUNT [PATH]: one request; prints its code and its seconds.
page() {
	nsenter --net="/proc/${init[$1]}/ns/net" curl --silent --insecure --max-time 30 --output /dev/null \
		--write-out '%{http_code} %{time_total}\n' "https://localhost:${proxies[$2]}/${3:-}" || true
}
serves() { [[ $(page "$1" "$2") == "200 "* ]]; }
runs() { [ "$(as "$1" "$2" podman inspect --format '{{.State.Running}}' "$3" 2>/dev/null)" = true ]; } # MACHINE ACCOUNT CONTAINER

ready() { # MACHINE
	local account
	for account in alice bob; do
		until_ok 60 runs "$1" "$account" app
		until_ok 60 runs "$1" "$account" proxy
	done
	until_ok 60 serves "$1" alice
	until_ok 60 serves "$1" bob
}

# net MACHINE PID COMMAND...: runs a command of ours in the network of a process that has that number in the machine.
net() { local m=$1 pid=$2; shift 2; nsenter --net="/proc/${init[$m]}/root/proc/$pid/ns/net" "$@"; }

# answers MACHINE: asks for app in alice's proxy; prints how many answers there are, how many addresses, how many of these nobody
# has, the TTL, the size, and how many addresses there are other than twice. When the proxy does not run it prints nothing.
answers() {
	local m=$1 proxy pid own= text
	proxy=$(inside "$m" pgrep -o -u alice -f '^nginx: master') || return 0
	for pid in $proxy $(inside "$m" pgrep -u alice -x app); do
		own+=" $(net "$m" "$pid" ip -4 -o address show scope global 2>/dev/null | awk '{ sub("/.*", "", $4); print $4 }')" || true
	done
	text=$(net "$m" "$proxy" dig @10.89.0.1 +tries=3 +time=1 app) || return 0
	awk -v own="$own" '
		BEGIN { n = split(own, a); for (i = 1; i <= n; i++) alive[a[i]] = 1 }
		$4 == "A" && /^app/ { answers++; ttl = $2; times[$5]++ }
		/MSG SIZE/ { size = $NF }
		END { for (x in times) { addresses++; dead += !(x in alive); odd += times[x] != 2 }
			print answers + 0, addresses + 0, dead + 0, ttl + 0, size + 0, odd + 0 }' <<<"$text"
}

no_route='connect\(\) failed \(113: (No route to host|Host is unreachable)\)'
proxy_log() { inside "$1" journalctl --quiet --output cat --since "$2" CONTAINER_NAME=proxy _UID=1000; } # MACHINE SINCE

# The probes, each in a process of its own, as often as the lab says. Each writes a line for every look into its file.
watch() { # MACHINE
	local m=$1 out=$DIR/$1/looks
	mkdir -p "$out"
	(set +e; while :; do echo "$EPOCHREALTIME $(answers "$m")" >>"$out/dns"; pause 0.5; done) &
	(set +e; n=0; while :; do n=$((n + 1)); began=$EPOCHREALTIME; p=$(page "$m" alice "?mark=$n-"); echo "$began $p $n" >>"$out/pages"; pause 0.2; done) &
	(set +e; while :; do echo "$EPOCHREALTIME $(page "$m" bob)" >>"$out/bob"; pause 0.5; done) &
	(set +e; while :; do echo "$EPOCHREALTIME $(inside "$m" pgrep -c -u bob -x aardvark-dns)" >>"$out/bobs-dns"; pause 0.5; done) &
	until_ok 30 test -s "$out/dns" -a -s "$out/pages" -a -s "$out/bob" -a -s "$out/bobs-dns"
}
pause() { sleep "$1"; }

since() { awk -v t="$2" '$1 >= t' "$DIR/$1"; } # FILE TIME

# symptoms MACHINE TIME: the names of the symptoms that have held in what was seen since then, in one line. A percentile is one of
# all pages up to some page.
symptoms() {
	local m=$1 t=$2 found= log
	log=$(proxy_log "$m" "@$t")
	! since "$m/looks/dns" "$t" | awk '$2 > 2 && $4 > 0 { found = 1 } END { exit !found }' || found+=" dead_addresses"
	! since "$m/looks/dns" "$t" | awk '$2 > 7 && $5 == 86400 && $6 == 172 && $7 == 0 { found = 1 } END { exit !found }' || found+=" eight_answers"
	! since "$m/looks/pages" "$t" | awk '
		{ for (i = NR; i > 1 && v[i - 1] > $3; i--) v[i] = v[i - 1]
		  v[i] = $3; at = int(0.95 * NR); at += at < 0.95 * NR; found = found || NR >= 3 && v[at] > 3 }
		END { exit !found }' || found+=" slow_pages"
	! grep -qE "$no_route" <<<"$log" || found+=" no_route"
	# Each dead address costs three seconds: the time of a request is explained by the lines that it caused.
	! awk -v no_route="$no_route" '
		NR == FNR { if ($0 ~ no_route && match($0, /mark=[0-9]+/)) lines[substr($0, RSTART + 5, RLENGTH - 5)]++; next }
		{ n++; k = lines[$4] + 0; odd = odd || (k == 0 ? $3 >= 2.9 : $3 < 2.9 * k || $3 > 3.5 * k)
		  explained = explained || k > 0; found = found || n >= 3 && explained && !odd }
		END { exit !found }' <(echo "$log") <(since "$m/looks/pages" "$t") || found+=" three_seconds"
	echo "$found"
}
all=" dead_addresses eight_answers slow_pages no_route three_seconds"

# invariants MACHINE: bob never had the problem.
invariants() {
	awk '$2 != 200 || $3 >= 2 { exit 1 }' "$DIR/$1/looks/bob" || fail "$1: bob was not served"
	awk '$2 != 1 { exit 1 }' "$DIR/$1/looks/bobs-dns" || fail "$1: bob has not exactly one aardvark-dns"
}

baseline() { # MACHINE
	start "$1"
	say "$1: machine"
	up "$1" alice & local alice=$!
	up "$1" bob & local bob=$!
	wait $alice && wait $bob
	ready "$1"
	watch "$1"
	say "$1: baseline"
}

finish() { # MACHINE
	invariants "$1"
	inside "$1" journalctl --boot --no-pager --output short-precise >"$DIR/$1/journal"
	jobs -p | xargs -r kill 2>/dev/null || true
	podman stop --time 0 "$1" >/dev/null
	podman rm --force "$1" >/dev/null
}

port() { awk '$4 == "0A" && $2 ~ /:0BB8$/ { found = 1 } END { exit !found }' <(inside fault cat /proc/net/tcp /proc/net/tcp6); }
no_port() { ! port; }
removed() { as fault alice podman rm -f -i -t 1 app >/dev/null 2>&1; }

# deploys_that_die is the fault: the app is deployed three times while its port is taken.
deploys_that_die() {
	local round said
	until_ok 15 removed
	until_ok 20 no_port
	inside fault systemd-run --quiet --collect --unit port systemd-socket-activate -l 0.0.0.0:3000 sleep infinity
	until_ok 20 port
	for round in 1 2 3; do
		as fault alice podman-compose up --no-start app >>"$DIR/fault/log" 2>&1
		! said=$(as fault alice podman start app 2>&1) || fail "start $round did not die"
		[[ $said == *"address already in use"* ]] || fail "start $round died of something else: $said"
		until_ok 15 removed
	done
	inside fault systemctl stop port
	until_ok 20 no_port
	as fault alice podman-compose up -d >>"$DIR/fault/log" 2>&1 || true
	until_ok 30 runs fault alice app
	as fault alice podman-compose restart -t 1 proxy >>"$DIR/fault/log" 2>&1
}

remedy() { # NAME
	as fault alice bash -c 'cd ~ && sh -s' <"$LAB/remedies/$1.sh" >>"$DIR/fault/log" 2>&1
	say "fault: applied $1"
}

# sick TIME: some symptom holds.
sick() { [ -n "$(symptoms fault "$1")" ]; }
every_symptom() { [ "$(symptoms fault "$1")" = "$all" ]; }

# not_every TIME: says what was seen instead.
not_every() {
	echo "symptoms since $1:$(symptoms fault "$1"); pages, and the lines that they caused:" >&2
	since fault/looks/pages "$1" >&2
	proxy_log fault "@$1" | grep -E "$no_route" >&2
	exit 1
}

fault_arm() {
	baseline fault
	local began=$EPOCHREALTIME t
	touch "$DIR/at-baseline"
	[ -z "$(symptoms fault 0)" ] || fail "fault: there are symptoms before the fault"
	deploys_that_die
	say "fault: in force"
	t=$EPOCHREALTIME
	(until_ok 60 every_symptom "$t") || not_every "$t"
	say "fault: every symptom is there: $(symptoms fault "$t"); dig says$(tail -n 1 "$DIR/fault/looks/dns" | cut -d' ' -f2- | sed 's/^/ /')"
	awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }' >"$DIR/held.new"
	mv "$DIR/held.new" "$DIR/held"
	for name in start_again recreate_network; do
		remedy $name
		t=$EPOCHREALTIME
		until_ok 10 sick "$t"
	done
	remedy delete_the_file_alive
	t=$EPOCHREALTIME
	sleep 2
	sick "$t" || ! runs fault alice proxy || fail "delete_the_file_alive cured"
	remedy forget_the_network
	ready fault
	t=$EPOCHREALTIME
	sleep 4
	[ -z "$(symptoms fault "$t")" ] || fail "forget_the_network did not cure:$(symptoms fault "$t")"
	[[ $(tail -n 1 "$DIR/fault/looks/dns" | cut -d' ' -f2-4) == "2 1 0" ]] || fail "the name server still lies"
	say "fault: every symptom is gone"
	finish fault
}

# control_arm comes up when the other one has, and has nothing done to it for as long.
control_arm() {
	until_ok 120 test -e "$DIR/at-baseline"
	baseline control
	local t=$EPOCHREALTIME
	until_ok 300 test -e "$DIR/held"
	sleep "$(awk -v began="$t" -v now="$EPOCHREALTIME" '{ left = $1 - (now - began); print (left > 0 ? left : 0) }' "$DIR/held")"
	[ -z "$(symptoms control "$t")" ] || fail "control: there are symptoms without the fault:$(symptoms control "$t")"
	say "control: no symptom"
	finish control
}

fault_arm & fault=$!
control_arm & control=$!
code=0
wait -n || code=1
[ $code = 0 ] && { wait $fault && wait $control || code=1; }
[ $code = 0 ] || exit 1
echo reproduced
