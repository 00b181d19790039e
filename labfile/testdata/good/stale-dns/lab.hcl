lab "stale-dns" {
  title = "nginx is slow: container DNS answers with the addresses of containers that are gone"
  story = "incident.md"
}

axis "debian" {
  values = ["bookworm", "trixie"] # ordered, oldest first
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
  debian   = axis.debian
  packages = ["podman", "podman-compose", "aardvark-dns", "dbus-user-session", "slirp4netns", "uidmap"]
}

image "nginx" {
  debian   = "bookworm"
  packages = ["nginx-light"]
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
  env     = { PROXY_PORT = 4430, APP_PORT = 3000 }
  images  = [image.nginx, image.app]
}

stack "bob" {
  machine = machine.server
  account = "bob"
  compose = "compose.yaml"
  env     = { PROXY_PORT = 4431, APP_PORT = 3001 }
  images  = [image.nginx, image.app]
}

ready "http" "alice_is_served" {
  stack = stack.alice
  url   = "https://localhost:4430/"
  hint  = "look at: podman logs proxy"
}

fault "container_churn" "deploys" {
  when    = axis.trigger == "port_taken"
  stack   = stack.alice
  service = "app"
  rounds  = 3
  kill {
    after = "500ms"
  }
}

fault "session_kill" "x" {
  when          = axis.trigger != "port_taken"
  stack         = stack.alice
  account       = "alice"
  login_session = axis.trigger == "session_killed"
}

symptom "dns_answers" "dead_addresses" {
  stack = stack.alice
  from  = "proxy"
  name  = "app"
  over  = 1
  only {
    dead    = true
    service = "app"
  }
}

symptom "http_latency" "slow_pages" {
  stack  = stack.alice
  url    = "https://localhost:4430/"
  p95    = "over 3s"
  within = "2m"
}

symptom "log" "no_route" {
  stack   = stack.alice
  service = "proxy"
  match   = "connect\\(\\) failed \\(113: (No route to host|Host is unreachable)\\)"
}

invariant "http" "bob_is_served" {
  stack  = stack.bob
  url    = "https://localhost:4431/"
  status = 200
}

remedy "restart_the_proxy" {
  machine = machine.server
  account = "alice"
  run     = "./wrong.sh"
  cures   = false
}

remedy "forget_the_network" {
  machine = machine.server
  account = "alice"
  run     = "./remedy.sh"
}
