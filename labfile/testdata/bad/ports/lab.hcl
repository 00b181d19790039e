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

stack "bob" {
  machine = machine.server
  account = "bob"
  compose = "compose.yaml" # ERROR: Port published twice … port 3000 is published by service app of stack.alice and by service app of stack.bob
}

machine "second" {
  image = image.host
  account "carol" { session = "none" }
}

stack "carol" {
  machine = machine.second
  account = "carol"
  compose = "compose.yaml"
}

stack "within" {
  machine = machine.second
  account = "carol"
  compose = "within.yaml" # ERROR: Port published twice … service a of stack.within and by service b of stack.within
}

stack "reserved" {
  machine = machine.second
  account = "carol"
  compose = "reserved.yaml" # ERROR: Port reserved for root … Service web of stack.reserved publishes port 443
}

fault "container_churn" "deploys" {
  stack   = stack.alice
  service = "app"
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
