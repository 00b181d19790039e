lab "orphans-after-logout" {
  title = "after a logout podman has lost the containers that hold the ports: the next start fails and says so to nobody"
  story = "incident.md"
}

# How bob's stack is brought up.
axis "way" {
  values = ["su", "su_and_a_bus", "own_login", "lingering"]
}

expect {
  way     = "su"
  verdict = "reproduced"
}

expect {
  way     = ["su_and_a_bus", "own_login", "lingering"]
  verdict = "not_reproduced"
}

image "host" {
  debian = "bookworm"
  packages = concat(
    ["aardvark-dns", "iptables", "netavark", "podman", "podman-compose", "slirp4netns", "uidmap"],
    # podman only recommends it
    axis.way == "su_and_a_bus" ? ["dbus-user-session"] : [],
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

  account "alice" {
    session   = "linger"
    logged_in = true
  }

  # Somebody deploys for bob with su - bob, while bob has a terminal open.
  account "bob" {
    session   = axis.way == "own_login" ? "login" : axis.way == "lingering" ? "linger" : "su"
    logged_in = true
  }

  account "carol" { session = "login" }
}

stack "alice" {
  machine = machine.server
  account = "alice"
  compose = "compose.yaml"
  images  = [image.nginx, image.app]
  env = {
    APP_PORT    = "3000"
    PROXY_PORT  = "4430"
    STATUS_PORT = "9000"
  }
}

stack "bob" {
  machine = machine.server
  account = "bob"
  compose = "compose.yaml"
  images  = [image.nginx, image.app]
  env = {
    APP_PORT    = "3001"
    PROXY_PORT  = "4431"
    STATUS_PORT = "9001"
  }
}

stack "carol" {
  machine = machine.server
  account = "carol"
  compose = "compose.yaml"
  images  = [image.nginx, image.app]
  env = {
    APP_PORT    = "3002"
    PROXY_PORT  = "4432"
    STATUS_PORT = "9002"
  }
}

ready "http" "bob_serves" {
  stack      = stack.bob
  url        = "https://localhost:4431/"
  status     = 200
  tls_verify = false
  hint       = "nginx does not start when it cannot resolve app: podman logs proxy, as bob"
}

ready "http" "bobs_status_serves" {
  stack  = stack.bob
  url    = "http://localhost:9001/"
  status = 200
  hint   = "who holds the port? ss -ltnp, as root"
}

# Everybody goes home and comes back.
fault "logout" "alice_goes_home" {
  machine = machine.server
  account = "alice"
}

fault "logout" "bob_goes_home" {
  machine = machine.server
  account = "bob"
}

fault "login" "alice_comes_back" {
  machine = machine.server
  account = "alice"
}

fault "login" "bob_comes_back" {
  machine = machine.server
  account = "bob"
  run     = "typed/deploy.sh"
}

# The page's ports are taken, and reset every connection. Somebody asks who holds them, and kills him: fuser -k 3001/tcp 4431/tcp.
# In the other ways there is nobody to kill, and no reason to deploy again.
fault "process_kill" "holders_of_the_ports" {
  when    = axis.way == "su"
  machine = machine.server
  account = "bob"
  ports   = [3001, 4431]
}

fault "login" "bob_deploys_again" {
  when    = axis.way == "su"
  machine = machine.server
  account = "bob"
  run     = "typed/deploy.sh"
}

symptom "process" "bobs_apps_are_too_many" {
  stack   = stack.bob
  cmdline = "^/app$"
  count   = "over 2" # app and status
  every   = "500ms"
  within  = "20s"
}

symptom "port" "held_by_an_orphan" {
  machine   = machine.server
  port      = 9001
  holder    = "orphan"
  container = "status"
  account   = "bob"
  every     = "500ms"
  within    = "20s"
}

symptom "file" "podman_says_created" {
  machine = machine.server
  account = "bob"
  path    = "list.txt"
  match   = " Created .* status$"
  every   = "500ms"
  within  = "20s"
}

symptom "file" "code_0_hides_the_failure" {
  machine = machine.server
  account = "bob"
  path    = "up.txt"
  match   = "ended with code 0: rootlessport listen tcp 0\\.0\\.0\\.0:[0-9]+: bind: address already in use"
  every   = "500ms"
  within  = "20s"
}

symptom "dns_answers" "dead_addresses" {
  stack     = stack.bob
  from      = "proxy"
  name      = "app"
  over      = 2 # the container's name and the service's alias: two answers are right
  dead_over = 0
  ttl       = 86400
  twice     = true
  every     = "500ms"
  within    = "20s"

  figure "answers" {
    value    = "answers"
    incident = "8"
  }
}

# One probe alone asks for pages; see stale-dns.
symptom "http_latency" "slow_pages" {
  stack       = stack.bob
  url         = "https://localhost:4431/"
  tls_verify  = false
  p95         = "over 3s"
  min_samples = 3
  every       = "200ms"
  within      = "30s"

  per_line {
    service = "proxy"
    match   = "connect\\(\\) failed \\(113: (No route to host|Host is unreachable)\\)"
    time    = "2.9s to 3.5s"
    done    = "HTTP/1\\.[01]\" [0-9]{3} " # the access line
  }

  figure "slowest_page" {
    value    = "slowest"
    unit     = "seconds"
    incident = "seconds to tens of seconds"
  }
}

symptom "log" "no_route" {
  stack   = stack.bob
  service = "proxy"
  match   = "connect\\(\\) failed \\(113: (No route to host|Host is unreachable)\\)"
  every   = "500ms"
  within  = "30s"
}

invariant "http" "alice_is_served" {
  stack      = stack.alice
  url        = "https://localhost:4430/"
  tls_verify = false
  status     = 200
  time       = "under 2s"
  every      = "500ms"
}

invariant "http" "carol_is_served" {
  stack      = stack.carol
  url        = "https://localhost:4432/"
  tls_verify = false
  status     = 200
  time       = "under 2s"
  every      = "500ms"
}

invariant "port" "alices_port_is_her_containers" {
  machine   = machine.server
  port      = 9000
  holder    = "container"
  container = "status"
  account   = "alice"
}

invariant "port" "carols_port_is_her_containers" {
  machine   = machine.server
  port      = 9002
  holder    = "container"
  container = "status"
  account   = "carol"
}

remedy "linger" {
  machine = machine.server
  run     = "remedies/linger.sh"
  cures   = false
}

remedy "end_orphans" {
  machine = machine.server
  account = "bob"
  run     = "remedies/end_orphans.sh"
  cures   = false
}

remedy "start_again" {
  machine = machine.server
  account = "bob"
  run     = "remedies/start_again.sh"
  soak    = "4s"
}
