lab "x" { # WARNING: Lab without a fault
  title = "x"
}

axis "debian" {
  values = ["bookworm", "trixie"]
}

expect {
  debian  = "bookworm"
  verdict = "reproduced"
  rate    = ">= 0.9"
}

expect {
  debian  = "trixie"
  verdict = "reproduced"
  rate    = null # as if left out: every time
}

image "host" { debian = axis.debian }

machine "server" { image = image.host }

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
