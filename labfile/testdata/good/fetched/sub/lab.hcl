lab "x" { # WARNING: Lab without a fault
  title = "it brings what it shares with its sisters"
  needs = ["own_pid_max"]
}

axis "debian" { values = ["bookworm", "trixie"] }

expect { verdict = "reproduced" }

include { source = "../shared.hcl" }

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}

remedy "look" {
  machine = machine.server
  run     = "look.sh"
}
