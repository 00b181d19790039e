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
  account = null # as if it were not there
  run     = concat(["printf", format("%05d %s", 7, upper("a"))], "a" == "b" ? ["x"] : ["y"])
  every   = "a" == "b" ? "5s" : null
}

machine "second" {
  when  = contains(["a"], "b") # WARNING: Block that never exists
  image = image.host
}
