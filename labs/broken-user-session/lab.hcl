lab "broken-user-session" {
  title = "nginx ends as soon as it starts: rootless podman in a broken session starts no name server, and says code 0"
  story = "incident.md"
}

axis "debian" {
  values = ["bookworm", "trixie"]
}

# What is left of the session of the account that deploys.
#   healthy         all of it
#   no_bus          a user manager, but no bus: dbus-user-session is gone
#   no_manager      /run/user/UID, but no user manager: it was not started in time
#   no_runtime_dir  nothing: su, with no login of the account
axis "session" {
  values = ["healthy", "no_bus", "no_manager", "no_runtime_dir"]
}

# The same deployment in a session that is whole.
expect {
  session = "healthy"
  verdict = "not_reproduced"
}

expect {
  session = ["no_bus", "no_manager", "no_runtime_dir"]
  verdict = "reproduced"
}

image "host" {
  debian = axis.debian
  packages = concat(
    ["aardvark-dns", "dbus-user-session", "netavark", "podman", "podman-compose", "uidmap"],
    # what podman 4.3.1 and 5.4.2 need for rootless networks, and only recommend or suggest
    axis.debian == "bookworm" ? ["iptables", "slirp4netns"] : ["nftables", "passt"],
  )
}

image "nginx" {
  debian   = "bookworm"
  packages = ["nginx-light"]
}

machine "server" {
  image = image.host

  # su - alice, in root's login, while alice has a terminal open: podman finds her /run/user/UID by itself.
  account "alice" {
    session   = "su"
    logged_in = true
  }
}

stack "alice" {
  machine = machine.server
  account = "alice"
  compose = "compose.yaml"
  images  = [image.nginx]
}

ready "http" "alice_serves" {
  stack  = stack.alice
  url    = "http://localhost:4430/"
  status = 200
  hint   = "nginx does not start when it cannot resolve app: podman logs proxy, as alice"
}

fault "package_remove" "no_bus_package" {
  when     = axis.session == "no_bus"
  machine  = machine.server
  packages = ["dbus-user-session"]
}

fault "session_break" "broken" {
  when    = axis.session != "healthy"
  machine = machine.server
  account = "alice"
  what    = trimprefix(axis.session, "no_")
}

# podman notes where an account's running state is when it runs for the first time, and refuses to run when that is /run/user/UID and has gone.
# So it is the new account whose containers run in no session, and are silent about it.
fault "redeploy" "again" {
  stack        = stack.alice
  from_nothing = axis.session == "no_runtime_dir"
}

symptom "command" "four_warnings" {
  stack  = stack.alice
  run    = "podman ps"
  stderr = "(?s)The cgroupv2 manager is set to systemd but there is no systemd user session available.*For using systemd, you may need to log ?in using an? user session.*you can enable lingering with: `loginctl enable-linger 1000`.*Falling back to --cgroup-manager=cgroupfs"
  within = "20s"
}

# Row 1 of the table in incident.md: the warnings, and nothing but the warnings.
symptom "command" "warned_and_yet_names_resolve" {
  when   = axis.session == "no_bus"
  stack  = stack.alice
  run    = "podman ps 2>&1 >/dev/null | grep -q 'no systemd user session available' && podman exec proxy getent hosts app"
  exit   = 0
  stdout = "app\\.dns\\.podman"
  within = "20s"
}

symptom "unit" "no_bus_to_start" {
  when    = axis.session == "no_bus"
  machine = machine.server
  account = "alice"
  name    = "dbus.socket"
  state   = "not_found"
  within  = "20s"
}

symptom "unit" "manager_failed" {
  when    = axis.session == "no_manager"
  machine = machine.server
  account = "alice"
  state   = "failed"
  result  = "timeout"
  within  = "20s"
}

symptom "file" "no_runtime_dir" {
  when    = axis.session == "no_runtime_dir"
  machine = machine.server
  path    = "/run/user/1000"
  exists  = false
  within  = "20s"
}

# How netavark starts aardvark-dns.
symptom "command" "systemd_run_fails" {
  when   = axis.session != "no_bus"
  stack  = stack.alice
  run    = "XDG_RUNTIME_DIR=/run/user/$(id -u) systemd-run --quiet --user --scope true"
  exit   = 1
  stderr = "Failed to connect to (user scope )?bus"
  within = "20s"
}

symptom "process" "no_name_server" {
  when   = axis.session != "no_bus"
  stack  = stack.alice
  name   = "aardvark-dns"
  count  = "exactly 0"
  within = "20s"

  figure "name_servers" { value = "processes" }
}

# netavark 1.4.0 ignores how systemd-run ends: it complains once for each container, and podman run ends with code 0.
symptom "command" "it_fails_and_says_code_0" {
  when   = axis.debian == "bookworm" && axis.session != "no_bus"
  stack  = stack.alice
  run    = "grep -c '^Failed to connect to bus: No such file or directory' deploy.log && ! grep -E '^(Error|exit code: [1-9])' deploy.log"
  exit   = 0
  stdout = "^2\n$"
  within = "20s"
}

# netavark 1.14.0 does not: the container is not started, and podman says why. podman-compose up -d ends with code 0 nevertheless.
symptom "file" "it_fails_and_says_so" {
  when   = axis.debian == "trixie" && axis.session != "no_bus"
  stack  = stack.alice
  path   = "deploy.log"
  match  = "netavark: error while applying dns entries: .*aardvark-dns failed to start: Failed to connect to user scope bus"
  within = "20s"
}

# After a refusal by 10.89.0.1 the resolver waits for podman's fallback servers, which the machine cannot reach.
symptom "command" "lookups_are_dead" {
  when      = axis.debian == "bookworm" && axis.session != "no_bus"
  stack     = stack.alice
  run       = "podman exec app getent hosts proxy"
  exit_code = "over 0"
  timeout   = "10s"
  every     = "2s"
  within    = "20s"
}

symptom "container" "proxy_ends" {
  when    = axis.session != "no_bus"
  stack   = stack.alice
  service = "proxy"
  state   = "exited" # on trixie: it was never started
  within  = "20s"

  figure "proxies_that_run" {
    value    = "running"
    incident = "0: it started and ended at once"
  }
}

symptom "command" "host_not_found" {
  when   = axis.debian == "bookworm" && axis.session != "no_bus"
  stack  = stack.alice
  run    = "podman logs proxy 2>&1"
  stdout = "\\[emerg\\] .*host not found in upstream \"app\" in /etc/nginx/nginx\\.conf:[0-9]+"
  within = "20s"
}

# Who looks into the journal finds no word about it.
invariant "journal" "silence" {
  stack = stack.alice
  match = "(?i)(aardvark|netavark).*(fail|error|cannot)|Failed to connect to (user scope )?bus"
  count = "exactly 0"
}

remedy "install_the_package" {
  when    = axis.session == "no_bus"
  machine = machine.server
  run     = "remedies/install_the_package.sh"
  cures   = false
  soak    = "2s"
}

remedy "start_the_bus" {
  when    = axis.session == "no_bus"
  machine = machine.server
  account = "alice"
  run     = "remedies/start_the_bus.sh"
  soak    = "3s"
}

remedy "start_again" {
  when    = axis.session != "no_bus"
  machine = machine.server
  account = "alice"
  run     = "remedies/deploy.sh"
  cures   = false
  soak    = "3s"
}

# Before the session is repaired: with another /run/user/UID podman does not find the processes of its own containers any more, and forgets
# them while they run on and hold the port.
remedy "take_it_down" {
  when    = axis.session == "no_runtime_dir"
  machine = machine.server
  account = "alice"
  run     = "remedies/take_it_down.sh"
  cures   = false
  soak    = "3s"
}

# What podman's third warning advises.
remedy "linger" {
  when    = axis.session != "no_bus"
  machine = machine.server
  run     = "remedies/linger.sh"
  cures   = false
  soak    = "3s"
}

remedy "start_the_manager" {
  when    = axis.session == "no_manager"
  machine = machine.server
  run     = "remedies/start_the_manager.sh"
  cures   = false
  soak    = "3s"
}

remedy "deploy_in_a_whole_session" {
  when    = axis.session != "no_bus"
  machine = machine.server
  account = "alice"
  run     = "remedies/deploy.sh"
  soak    = "3s"
}
