lab "x" {
  title = "x"
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

machine "server" {
  image = image.host
  account "alice" { session = "linger" }
  account "bob" { session = "su" }
}

stack "alice" {
  machine = machine.server
  account = "alice"
  compose = "compose.yaml"
}

fault "container_churn" "deploys" {
  stack   = stack.alice
  service = "app"
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}

symptom "command" "loud" {
  machine = machine.server
  run     = ["x", 1e999999999] # ERROR: Number out of range
  number  = 1e-99999 # ERROR: Number out of range
  every   = ["1s"][1e99999] # ERROR: Number out of range
  within  = axis.a[1e99999] # ERROR: Number out of range
}
