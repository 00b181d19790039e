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

symptom "command" "loops" {
  machine = machine.server
  run     = [for i in ["a", "b"] : i] # ERROR: Loops are not allowed
}

symptom "command" "template" {
  machine = machine.server
  run     = ["%{for i in ["a"]}x%{endfor}"] # ERROR: Loops are not allowed
}
