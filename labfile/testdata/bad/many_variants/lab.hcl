lab "x" {
  title = "x"
}

axis "a" {
  values = ["1", "2", "3", "4", "5", "6", "7", "8"]
}

axis "b" {
  values = ["1", "2", "3", "4", "5", "6", "7", "8"]
}

axis "c" {
  values = ["1", "2", "3", "4", "5", "6", "7", "8"]
}

axis "d" { # ERROR: Too many variants
  values = ["1", "2", "3", "4", "5", "6", "7", "8"]
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
