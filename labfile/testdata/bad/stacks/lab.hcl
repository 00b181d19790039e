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

stack "who" {
  machine = machine.server
  account = "alic" # ERROR: Unknown account … Did you mean "alice"?
  compose = "compose.yaml"
}

stack "root" {
  machine = machine.server
  account = "root" # ERROR: Account root
  compose = "compose.yaml"
}

stack "nobody" {
  machine = machine.server
  account = "" # ERROR: Empty account
  compose = "compose.yml" # ERROR: No such file … Did you mean "compose.yaml"?
}

stack "nowhere" {
  machine = machine.serve # ERROR: Unknown machine … Did you mean "server"?
  account = "alice"
  compose = "compose.yaml"
}

stack "env" {
  machine = machine.server
  account = "alice"
  compose = "compose.yaml"
  env = { # ERROR: Wrong variable name; ERROR: Line break in a variable
    "A-B" = "x"
    C     = "x\ny"
  }
}

stack "broken" {
  machine = machine.server
  account = "alice"
  compose = "broken.yaml" # ERROR: Wrong compose file … something is wrong somewhere
}

symptom "http" "of_a_broken_stack" {
  stack = stack.broken
  url   = "https://localhost:4430/"
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
