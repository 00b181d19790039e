lab "port-taken" {
  title = "podman-compose up says nothing is wrong, and a stranger answers on the port"
}

expect {
  verdict = "reproduced"
}

image "host" {
  debian   = "bookworm"
  packages = ["aardvark-dns", "dbus-user-session", "iptables", "netavark", "podman", "podman-compose", "slirp4netns", "uidmap"]
}

image "nginx" {
  debian   = "bookworm"
  packages = ["nginx-light", "ssl-cert"]
}

machine "server" {
  image = image.host

  account "alice" { session = "linger" }
  account "bob" { session = "linger" }
}

stack "web" {
  machine = machine.server
  account = "alice"
  compose = "compose.yaml"
  images  = [image.nginx]
}

fault "port_taken" "bob_was_faster" {
  machine  = machine.server
  account  = "bob"
  port     = 8080
  redeploy = stack.web
}

symptom "port" "somebody_else_has_it" {
  machine = machine.server
  port    = 8080
  holder  = "process"
  account = "bob"
  within  = "10s"
}

symptom "container" "web_does_not_run" {
  stack   = stack.web
  service = "web"
  state   = "exited"
  within  = "10s"
}
