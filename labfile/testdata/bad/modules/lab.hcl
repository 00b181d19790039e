lab "x" { # WARNING: Lab without a fault
  title = "x"
}

axis "zmq4" {
  values = ["v0.15.0", "latest"]
}

expect { verdict = "reproduced" }

image "typo" {
  go      = "agent"
  modules = { "github.com/go-zeromq/zmq" = "v0.15.0" } # ERROR: Module that is not required … Did you mean "github.com/go-zeromq/zmq4"?
}

image "moving" {
  go = "agent"
  modules = {
    "github.com/go-zeromq/zmq4" = axis.zmq4 # ERROR: Wrong module version … "latest" cannot be a version
    "golang.org/x/sync"         = "v0.7" # ERROR: Wrong module version
  }
}

image "two" {
  debian  = "bookworm"
  go      = "agent"
  modules = merge({ "github.com/go-zeromq/zmq4" = "v2.0.0" }) # ERROR: Wrong module version
}

image "none" {
  go      = "plain"
  modules = { "github.com/go-zeromq/zmq4" = "v0.15.0" } # ERROR: No usable go.mod … it does not exist
}

image "host" {
  debian  = "bookworm"
  modules = { "github.com/go-zeromq/zmq4" = "v0.15.0" } # ERROR: Only for Go programs
}

image "type" {
  go      = "agent"
  modules = ["v0.15.0"] # ERROR: Wrong type of value
}

machine "server" { image = image.host }

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
