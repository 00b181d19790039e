lab "x" {
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
  debian  = "trixie"
  verdict = "not_reproduced"
}

expect { # ERROR: Two verdicts for one variant … variant debian:bookworm trigger:killed
  trigger = "killed"
  verdict = "not_reproduced"
}

expect { # ERROR: Two verdicts for one variant … at a rate of >= 0.9
  debian  = "bookworm"
  trigger = "taken"
  verdict = "reproduced"
  rate    = ">= 0.9"
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
