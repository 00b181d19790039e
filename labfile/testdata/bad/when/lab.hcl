lab "x" { # ERROR: Lab without a symptom … variant debian:trixie
  title = "x"
}

axis "debian" {
  values = ["bookworm", "trixie"]
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

image "new" {
  when   = axis.debian == "trixie"
  debian = "trixie"
}

machine "server" {
  image = image.new # ERROR: Not there in every variant … This is so in variant debian:bookworm.
  account "alice" { session = "linger" }
}

machine "other" {
  when  = machine.server == "x" # ERROR: Reference not allowed here
  image = image.host
}

machine "third" {
  when  = axis.debain == "x" # ERROR: Unknown axis … Did you mean "debian"?
  image = image.host
}

machine "fourth" {
  when  = "often" # ERROR: Condition that is not true or false
  image = image.host
}

machine "fifth" {
  when  = null # ERROR: Condition that is not true or false
  image = image.host
}

machine "sixth" {
  when  = axis.debian == "sid" # WARNING: Block that never exists
  image = image.host
}

machine "sixth" {
  when  = axis.debian == "trixie"
  image = image.new
}

machine "sixth" { # ERROR: Duplicate name
  image = image.host
}

fault "container_churn" "deploys" {
  stack   = "stack.alice" # ERROR: Unknown stack
  service = "app"
}

symptom "command" "fails" {
  when    = axis.debian == "bookworm"
  machine = machine.server
  run     = ["false"]
}

symptom "command" "fails" { # ERROR: Duplicate name
  when    = axis.debian == "bookworm"
  machine = machine.server
  run     = ["false"]
}
