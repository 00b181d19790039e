lab "figures" {
  title = "numbers beside those of the report"
}

axis "debian" {
  values = ["bookworm", "trixie"]
}

expect { verdict = "reproduced" }

image "host" { debian = axis.debian }

machine "server" {
  image = image.host
  account "alice" { session = "linger" }
}

stack "alice" {
  machine = machine.server
  account = "alice"
  compose = "compose.yaml"
}

fault "container_churn" "x" {
  stack   = stack.alice
  service = "app"
}

symptom "dns_answers" "many" {
  stack = stack.alice
  from  = "app"
  name  = "app"
  over  = 1

  figure "answers" {
    value    = "answers"
    incident = "8"
  }

  figure "kept_for" {
    value = "ttl"
    unit  = "seconds"
  }
}

# A figure of the same name, where the other one is not.
symptom "command" "bookworm_only" {
  when    = axis.debian == "bookworm"
  machine = machine.server
  run     = ["true"]
  figure "x" { value = "anything" } # this kind does not say what it sees
}

invariant "command" "trixie_only" {
  when    = axis.debian == "trixie"
  machine = machine.server
  run     = ["true"]

  figure "x" {
    value    = "anything"
    unit     = axis.debian == "trixie" ? "percent" : null
    incident = axis.debian
  }
}
