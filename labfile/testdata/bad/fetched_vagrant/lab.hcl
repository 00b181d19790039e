lab "x" { # WARNING: Lab without a fault
  title = "it brings a Vagrantfile"
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

vagrant { # ERROR: Vagrant in a fetched lab … program in Ruby
  file = "Vagrantfile"
}

machine "server" {
  image = image.host
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
