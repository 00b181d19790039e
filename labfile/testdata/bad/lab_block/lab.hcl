lab "X Y" { # ERROR: Wrong name
  title = " " # ERROR: Empty title
  story = "storey.md" # ERROR: No such file … Did you mean "story.md"?
}

lab "z" { # ERROR: Second lab block
  title = "z"
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
