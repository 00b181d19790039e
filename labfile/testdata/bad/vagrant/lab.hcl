lab "x" { # WARNING: Lab without a fault
  title = "x"
}

axis "case" {
  values = ["both", "sum", "bare", "missing", "folder", "outside", "form", "second", "words", "empty"]
}

expect { verdict = "reproduced" }

vagrant {
  when     = axis.case == "both"
  box      = "https://example.com/b.box"
  checksum = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
  file     = "Vagrantfile" # ERROR: Two origins of machines
}

vagrant {
  when     = axis.case == "sum"
  checksum = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" # ERROR: Checksum without a box
}

vagrant {
  when = axis.case == "bare"
  box  = "https://example.com/b.box" # ERROR: Missing checksum
}

vagrant {
  when = axis.case == "missing"
  file = "Vagrantfil" # ERROR: No such file … Did you mean "Vagrantfile"?
}

vagrant {
  when = axis.case == "folder"
  file = "team" # ERROR: Not a Vagrantfile
}

vagrant {
  when = axis.case == "outside"
  file = "../needs/lab.hcl" # ERROR: Path leaves the folder
}

vagrant {
  when     = axis.case == "form"
  box      = "debian/bookworm64" # ERROR: Wrong address of a box
  checksum = "sha256:123"        # ERROR: Wrong checksum
  provider = "Lib Virt"          # ERROR: Wrong provider
}

vagrant {
  when = axis.case == "second"
  file = "Vagrantfile"
}

vagrant { # ERROR: Second vagrant block
  when = axis.case == "second"
  file = "Vagrantfile"
}

vagrant {
  when = axis.case == "words"
  boxx = "https://example.com/b.box" # ERROR: Unknown argument … Did you mean "box"?
  vm {} # ERROR: Unknown block
}

image "host" { debian = "bookworm" }

machine "server" {
  image = image.host
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
