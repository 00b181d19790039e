lab "figures" {
  title = "numbers that cannot stand in the results"
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

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
    value = "answers"
  }

  figure "answers" { # ERROR: Duplicate figure … declared at
    value = "answers"
    unit  = "second" # ERROR: Unknown unit … Did you mean "seconds"?
  }

  figure "Kept For" { # ERROR: Wrong name
    value = "ttl"
  }

  figure "nothing" { # ERROR: Missing argument … "value"
    incident = "8"
  }

  figure { # ERROR: Wrong number of names
    value = "ttl"
  }

  figure "other" {
    value = "ttl"
    units = "bytes" # ERROR: Unknown argument … Did you mean "unit"?
  }
}

symptom "dns_answers" "others" {
  stack = stack.alice
  from  = "app"
  name  = "app"
  over  = 1

  figure "near" {
    value = "answer" # ERROR: Unknown number … Did you mean "answers"?
  }

  figure "far" {
    value = "zzz" # ERROR: Unknown number … It has "answers" and "ttl".
  }
}

invariant "http" "page" {
  stack = stack.alice
  url   = "http://localhost:3000/"
  figure = "status" # ERROR: Block written as an argument
}

invariant "command" "c" {
  machine = machine.server
  run     = ["true"]

  figure "answers" { # ERROR: Duplicate figure
    value = "anything"
  }
}

ready "command" "r" {
  machine = machine.server
  run     = ["true"]
  figure "status" { # ERROR: Unknown block
    value = "status"
  }
}
