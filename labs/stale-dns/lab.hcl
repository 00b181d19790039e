lab "stale-dns" {
  title = "nginx is slow: container DNS answers with the addresses of containers that are gone"
  story = "incident.md"
}

axis "debian" {
  values = ["bookworm", "trixie"]
}

axis "trigger" {
  values = ["port_taken", "session_killed", "session_killed_alone"]
}

expect {
  debian  = "bookworm"
  trigger = "port_taken"
  verdict = "reproduced"
}

expect {
  debian  = "bookworm"
  trigger = "session_killed"
  verdict = "reproduced"
}

# The diary's riddle in small: the same kill, but nobody is logged in, so /run/user/UID goes away with the manager
# and podman starts from nothing.
expect {
  debian  = "bookworm"
  trigger = "session_killed_alone"
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

image "nginx" {
  debian   = "bookworm"
  packages = ["nginx-light", "ssl-cert"]
}

image "app" {
  go = "./app"
}

machine "server" {
  image = image.host

  account "alice" { session = "linger" }
  account "bob" { session = "linger" }
}

stack "alice" {
  machine = machine.server
  account = "alice"
  compose = "compose.yaml"
  images  = [image.nginx, image.app]
  env = {
    APP_PORT   = "3000"
    PROXY_PORT = "4430"
  }
}

stack "bob" {
  machine = machine.server
  account = "bob"
  compose = "compose.yaml"
  images  = [image.nginx, image.app]
  env = {
    APP_PORT   = "3001"
    PROXY_PORT = "4431"
  }
}

ready "http" "alice_serves" {
  stack      = stack.alice
  url        = "https://localhost:4430/"
  status     = 200
  tls_verify = false
  hint       = "nginx does not start when it cannot resolve app: podman logs proxy, as alice"
}

ready "http" "bob_serves" {
  stack      = stack.bob
  url        = "https://localhost:4431/"
  status     = 200
  tls_verify = false
  hint       = "nginx does not start when it cannot resolve app: podman logs proxy, as bob"
}

fault "container_churn" "deploys_that_die" {
  when         = axis.trigger == "port_taken"
  stack        = stack.alice
  service      = "app"
  dies_of      = "port_taken"
  rounds       = 3
  then_restart = "proxy" # nginx resolves app when it starts
}

fault "session_kill" "user_manager_dies" {
  when          = axis.trigger != "port_taken"
  stack         = stack.alice
  rounds        = 3
  login_session = axis.trigger == "session_killed"
  then_restart  = "proxy"
}

# dig app, in the proxy.
symptom "dns_answers" "dead_addresses" {
  stack     = stack.alice
  from      = "proxy"
  name      = "app"
  over      = 2 # the container's name and the service's alias: two answers are right
  dead_over = 0
  every     = "500ms"
  within    = "60s"
}

# The diary's own figure: ANSWER: 8, four addresses, each twice, TTL 86400, MSG SIZE rcvd: 172.
symptom "dns_answers" "eight_answers" {
  stack  = stack.alice
  from   = "proxy"
  name   = "app"
  over   = 7
  size   = 172
  ttl    = 86400
  twice  = true
  every  = "500ms"
  within = "60s"

  figure "answers" {
    value    = "answers"
    incident = "8"
  }

  figure "addresses" {
    value    = "addresses"
    incident = "4"
  }

  figure "ttl" {
    value    = "ttl"
    incident = "86400"
  }

  figure "message" {
    value    = "size"
    unit     = "bytes"
    incident = "172"
  }
}

# connect() to an address that nobody has any more gives up after three ARP requests, one second apart. One probe alone asks
# for pages: of two requests to one dead address, the second would wait for what is left of the three seconds only.
symptom "http_latency" "slow_pages" {
  stack       = stack.alice
  url         = "https://localhost:4430/"
  tls_verify  = false
  p95         = "over 3s"
  min_samples = 3
  every       = "200ms"
  within      = "60s"

  per_line {
    service = "proxy"
    match   = "connect\\(\\) failed \\(113: (No route to host|Host is unreachable)\\)"
    time    = "2.9s to 3.5s"
    done    = "HTTP/1\\.[01]\" [0-9]{3} " # the access line
  }

  figure "slowest_page" {
    value    = "slowest"
    unit     = "seconds"
    incident = "tens of seconds"
  }

  figure "each_dead_address" {
    value    = "seconds_per_line"
    unit     = "seconds"
    incident = "3.06 s"
  }
}

symptom "log" "no_route" {
  stack   = stack.alice
  service = "proxy"
  match   = "connect\\(\\) failed \\(113: (No route to host|Host is unreachable)\\)"
  every   = "500ms"
  within  = "60s"
}

# The colleague on the same machine, who never had the problem.
invariant "http" "bob_is_served" {
  stack      = stack.bob
  url        = "https://localhost:4431/"
  tls_verify = false
  status     = 200
  time       = "under 2s"
  every      = "500ms"
}

invariant "process" "bobs_dns_runs" {
  stack = stack.bob
  name  = "aardvark-dns"
  count = "exactly 1"
  every = "500ms"
}

remedy "start_again" {
  machine = machine.server
  account = "alice"
  run     = "remedies/start_again.sh"
  cures   = false
}

remedy "recreate_network" {
  machine = machine.server
  account = "alice"
  run     = "remedies/recreate_network.sh"
  cures   = false
}

remedy "delete_the_file_alive" {
  machine = machine.server
  account = "alice"
  run     = "remedies/delete_the_file_alive.sh"
  cures   = false
  soak    = "2s"
}

remedy "forget_the_network" {
  machine = machine.server
  account = "alice"
  run     = "remedies/forget_the_network.sh"
  soak    = "4s"
}
