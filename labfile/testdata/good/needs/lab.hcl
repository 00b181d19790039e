lab "x" { # WARNING: Lab without a fault
  title = "x"
  needs = ["own_kernel"]
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

machine "server" { image = image.host }

vagrant {
  when     = "a" == "b" # WARNING: Block that never exists
  provider = "libvirt"
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
