lab "x" { # WARNING: Lab without a fault
  title = "it brings a Vagrantfile"
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

image "local" { oci = "localhost:5000/a@sha256:0000000000000000000000000000000000000000000000000000000000000000" } # ERROR: Registry of this host's network

image "loopback" { oci = "127.0.0.1/a@sha256:0000000000000000000000000000000000000000000000000000000000000000" } # ERROR: Registry of this host's network

image "private" { oci = "192.168.1.1:5000/a@sha256:0000000000000000000000000000000000000000000000000000000000000000" } # ERROR: Registry of this host's network

image "number" { oci = "127.1/a@sha256:0000000000000000000000000000000000000000000000000000000000000000" } # ERROR: Registry of this host's network

image "public" { oci = "registry.test/a@sha256:0000000000000000000000000000000000000000000000000000000000000000" }

image "short" { oci = "localhost@sha256:0000000000000000000000000000000000000000000000000000000000000000" }

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
