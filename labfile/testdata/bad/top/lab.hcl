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

fault "session_kill" "elsewhere" {
  stack  = stack.may_be_in_the_broken_block
  rounds = "many" # ERROR: Wrong type of value
}

fault "session_kill" "literal" {
  stack   = "stack.may_be_too"
  account = "alice"
}

remedy "other" {
  machine = machine.unknown
  account = "carol"
  run     = "gone.sh" # ERROR: No such file
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
