lab "x" {
  title = "x"
}

axis "empty" {
  values = [] # ERROR: Axis without values
}

axis "verdict" { # ERROR: Wrong name
  values = ["a"]
}

axis "rate" { # ERROR: Wrong name
  values = ["a"]
}

axis "debian" {
  values = ["bookworm", "trixie", "bookworm", "a b"] # ERROR: Duplicate axis value; ERROR: Wrong axis value
}

axis "debian" { # ERROR: Duplicate axis
  values = ["sid"]
}

axis "moving" {
  values = [axis.debian] # ERROR: Reference where only a value can be
}

axis "none" { # ERROR: Missing argument
}

axis "text" {
  values = "bookworm" # ERROR: Wrong type of value
}

image "host" {
  debian   = axis.debian
  packages = ["podman", "podman"] # ERROR: Duplicate package
}

machine "server" {
  image = image.hots # ERROR: Unknown image … Did you mean "host"?
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
