lab "x" { # WARNING: Lab without a fault
  title = "x"
}

expect { verdict = "reproduced" }

vagrant {
  provider = "libvirt"
}

machine "server" {} # ERROR: Missing argument … only machines that a vagrant block gets

machine "null" { # ERROR: Missing argument … needs the argument "image"
  image = null
}

machine "wrong" {
  image = image.host # ERROR: Unknown image
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
