lab "x" {
  title = "x"
}

expect { verdict = "reproduced" }

vagrant {
  box      = "https://example.com/boxes/bookworm.box"
  checksum = "sha256:9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08"
}

machine "server" {}

fault "container_churn" "deploys" {
  stack   = stack.alice
  service = "app"
}

machine "client" {
  account "alice" { session = "linger" }
  account "bob" { session = "su" }
}

stack "alice" {
  machine = machine.client
  account = "alice"
  compose = "compose.yaml"
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
