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

remedy "gone" {
  machine = machine.server
  account = "carol" # ERROR: Unknown account
  run     = "remedi.sh" # ERROR: No such file … Did you mean "remedy.sh"?
}

remedy "folder" {
  machine = machine.server
  run     = "scripts" # ERROR: Not a script
  soak    = "long" # ERROR: Wrong duration
}

remedy "folder" { # ERROR: Duplicate name
  machine = machine.server
  run     = "remedy.sh"
  timeout = "0s" # ERROR: Time that is zero
}

remedy "cures" { # ERROR: Missing argument … "machine"
  run   = "remedy.sh"
  cures = "maybe" # ERROR: Wrong type of value
}
