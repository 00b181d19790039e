lab "x" { # WARNING: Lab without a fault
  title = "x"
}

axis "zmq4" {
  values = ["v0.15.0", "v0.17.1-0.20240205122430-b3c8ae65f4e2"]
}

expect { verdict = "reproduced" }

image "agent" {
  go      = "agent"
  modules = { "github.com/go-zeromq/zmq4" = axis.zmq4 }
}

image "host" {
  debian  = "bookworm"
  go      = "agent"
  modules = { "github.com/go-zeromq/zmq4" = axis.zmq4 }
  npm     = "site"

  c "/usr/local/lib/nosys.so" {
    source = "nosys.c"
    flags  = ["-shared", "-fPIC"]
  }
  c "/usr/local/bin/probe" { source = "nosys.c" }
}

machine "server" {
  image = image.host
  account "alice" { session = "linger" }
}

stack "alice" {
  machine = machine.server
  account = "alice"
  compose = "compose.yaml"
  images  = [image.agent]
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
