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
  debain  = "bookworm" # ERROR: Unknown axis … Did you mean "debian"?
  verdict = "reproduced"
}

expect {
  debian  = "bookwrm" # ERROR: Unknown axis value … Did you mean "bookworm"?
  verdict = "reprodced" # ERROR: Unknown verdict … Did you mean "reproduced"?
}

expect {
  trigger = ["taken", "klled"] # ERROR: Unknown axis value … Did you mean "killed"?
  verdict = "inconclusive" # ERROR: Verdict that cannot be expected
}

expect { # ERROR: Missing argument
  trigger = [] # ERROR: Expect block that covers nothing
  debian  = { a = 1 } # ERROR: Wrong type of value
  more {} # ERROR: Unknown block
}

expect {
  verdict = axis.debian # ERROR: Reference where only a value can be
}

expect {
  verdict = ["reproduced"] # ERROR: Wrong type of value
}

expect {
  trigger = "taken"
  verdict = "reproduced"
  rate    = "often" # ERROR: Wrong rate … how often the variants must get their verdict
}

expect {
  trigger = "killed"
  verdict = "reproduced"
  rate    = [">= 0.9"] # ERROR: Wrong type of value
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
