lab "x" { # WARNING: Lab without a fault
  title = "x"
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

machine "server" {
  image = image.host
  account "alice" { session = "linger" }
  account "bob" { session = "su" }
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}

image "idle" { debian = "sid" } # WARNING: Unused image
