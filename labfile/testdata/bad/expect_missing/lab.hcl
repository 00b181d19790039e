lab "x" { # ERROR: Variant without an expected verdict … variant debian:trixie trigger:killed
  title = "x"
}

axis "debian" {
  values = ["bookworm", "trixie"]
}

axis "trigger" {
  values = ["taken", "killed"]
}

expect {
  debian  = "bookworm"
  verdict = "reproduced"
}

expect {
  trigger = "taken"
  verdict = "reproduced"
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
