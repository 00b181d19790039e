lab "dns-blackout" {
  title = "names do not resolve for most of a minute, in the containers that were not deployed"
  story = "incident.md"
}

axis "debian" {
  values = ["bookworm", "trixie"]
}

# fair: the kernel rolls the addresses of the bridge's ports, as always. The others leave less to chance: in them the container
# that is deployed again has the lowest one.
axis "dice" {
  values = ["fair", "loaded", "loaded_wait", "loaded_pinned"]
}

# With one survivor and one container that is deployed again, each is equally likely to have the lowest address: 1/2. A lookup that is
# answered in the very moment saves some: incident.md.
expect {
  debian  = "bookworm"
  dice    = "fair"
  verdict = "reproduced"
  rate    = "0.1 to 0.9"
}

expect {
  debian  = "bookworm"
  dice    = ["loaded", "loaded_wait"]
  verdict = "reproduced"
}

expect {
  debian  = "bookworm"
  dice    = "loaded_pinned"
  verdict = "not_reproduced"
}

expect {
  debian  = "trixie"
  verdict = "not_reproduced"
}

image "host" {
  debian = axis.debian
  packages = concat(
    ["aardvark-dns", "dbus-user-session", "netavark", "podman", "podman-compose", "uidmap"],
    # what podman 4.3.1 and 5.4.2 need for rootless networks, and only recommend or suggest
    axis.debian == "bookworm" ? ["iptables", "slirp4netns"] : ["nftables", "passt"],
  )
}

image "app" {
  go = "./app"
}

machine "server" {
  image = image.host

  account "alice" { session = "linger" }
}

stack "alice" {
  machine = machine.server
  account = "alice"
  compose = "compose.yaml"
  images  = [image.app]
}

ready "dns_answers" "worker_resolves" {
  stack = stack.alice
  from  = "worker"
  name  = "app"
  over  = 0
  hint  = "nobody can work without the name server: pgrep -a aardvark-dns"
}

fault "command" "pinned_bridge" {
  when    = axis.dice == "loaded_pinned"
  machine = machine.server
  inject  = "faults/pin.sh"
  verify  = "faults/pinned.sh"
  heal    = "faults/unpin.sh"
}

fault "container_churn" "deployment" {
  when    = axis.dice == "fair"
  stack   = stack.alice
  service = "app"
  dies_of = "nothing"
  rounds  = 1
}

fault "command" "deployment_of_the_lowest" {
  when    = axis.dice != "fair"
  machine = machine.server
  account = "alice"
  inject  = "faults/deploy_the_lowest.sh"
  verify  = "faults/deployed.sh"
  heal    = "faults/forget.sh"
}

# dig app, in the container that survived: connection timed out; no servers could be reached.
symptom "dns_answers" "silence" {
  stack  = stack.alice
  from   = "worker"
  name   = "app"
  silent = true
  every  = "500ms"
  within = "4s"
}

# What the survivor takes for the bridge's address is not the bridge's.
symptom "command" "wrong_neighbour" {
  machine = machine.server
  run     = <<-EOT
    server=$(pgrep -u alice -x aardvark-dns) && worker=$(pgrep -u alice -f '^/app worker$') || exit 2
    bridge=$(nsenter --net --target "$server" ip -br link show type bridge | awk '{ print $3 }')
    known=$(nsenter --net --target "$worker" ip neigh show 10.89.0.1 | sed -n 's/.*lladdr \([^ ]*\) .*/\1/p')
    echo "the bridge has $bridge, and the worker knows $known; the ports:"
    nsenter --net --target "$server" ip -o link show type veth
    nsenter --net --target "$worker" ip -o link show eth0
    [ -n "$known" ] && [ "$bridge" != "$known" ]
  EOT
  exit    = 0
  every   = "500ms"
  within  = "4s"
}

# What the people who look after the worker see.
symptom "log" "lookups_time_out" {
  stack   = stack.alice
  service = "worker"
  match   = "lookup app.*: i/o timeout"
  count   = "at least 2" # the first may be of a lookup from when there was no app
  every   = "500ms"
  within  = "6s"
}

# How long it takes until the survivor asks for the bridge's address again, with nobody helping: from 15 to 45 s
# (net.ipv4.neigh.*.base_reachable_time_ms, of which the kernel takes a half to three halves, by chance), and 5 + 3 s of doubt.
symptom "dns_answers" "blackout" {
  when    = axis.dice == "loaded_wait"
  stack   = stack.alice
  from    = "worker"
  name    = "app"
  silence = "10s to 60s"
  every   = "500ms"
  within  = axis.debian == "bookworm" ? "75s" : "5s" # where it is not expected to come, nobody waits for its end

  figure "blackout" {
    value    = "silence"
    unit     = "seconds"
    incident = "52 s"
  }
}

# What misled them: the name server runs, and answers everybody who came later.
invariant "process" "the_name_server_runs" {
  stack = stack.alice
  name  = "aardvark-dns"
  count = "exactly 1"
  every = "500ms"
}

invariant "command" "others_are_answered" {
  machine = machine.server
  run     = <<-EOT
    nsenter --net --target "$(pgrep -u alice -x aardvark-dns)" perl -MSocket -e '
      socket($s, PF_INET, SOCK_DGRAM, 0) && connect($s, sockaddr_in(53, inet_aton("10.89.0.1"))) or die "cannot ask: $!\n";
      for (1 .. 5) { # before aardvark-dns 1.11 its sockets are closed for a moment whenever it reads its files
        send($s, pack("n6 C/a* C n2", 1, 256, 1, 0, 0, 0, "worker", 0, 1, 1), 0);
        vec($waiting = "", fileno($s), 1) = 1;
        exit 0 if select($waiting, undef, undef, 1) && defined recv($s, $answer, 512, 0) && unpack("x6 n", $answer);
        select(undef, undef, undef, 0.2);
      }
      die "no answer\n"'
  EOT
  exit    = 0
  every   = "500ms"
}

remedy "reload_the_name_server" {
  when    = axis.dice != "loaded_wait"
  machine = machine.server
  account = "alice"
  run     = "remedies/reload_the_name_server.sh"
  cures   = false
  soak    = "4s"
}

remedy "forget_the_neighbour" {
  when    = axis.dice != "loaded_wait"
  machine = machine.server
  account = "alice"
  run     = "remedies/forget_the_neighbour.sh"
  soak    = "4s"
}
