lab "x" { # WARNING: Lab without a fault
  title = "x"
  needs = [
    "own_kernal", # ERROR: Unknown need … Did you mean "own_kernel"?
    "own_kernel",
    "own_kernel", # ERROR: Duplicate need
    "a_pony",     # ERROR: Unknown need … It can need "own_kernel" and "own_pid_max".
  ]
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

machine "server" { image = image.host }

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
