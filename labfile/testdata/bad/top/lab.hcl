lab "x" {
  title = "x"
}

expect { verdict = "reproduced" }

colour = "red" # ERROR: Unsupported argument

machin "server" { # ERROR: Unsupported block type … Did you mean "machine"?
}

machine { # ERROR: Missing name for machine
}

image "a" "b" { # ERROR: Extraneous label for image
}

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
