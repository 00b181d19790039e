lab "flaky" {
  title = "the value is wrong after the switch"
}

axis "debian" {
  values = ["bookworm", "trixie"]
}

expect {
  debian  = "bookworm"
  verdict = "reproduced"
}

expect {
  debian  = "trixie"
  verdict = "not_reproduced"
}

image "host" {
  debian = axis.debian
}

machine "server" {
  image = image.host
}

fault "fake" "switch" {
  machine = machine.server
  value   = axis.debian == "bookworm" ? "sick" : "other" # trixie is not affected
  lasting = true
}

symptom "fake" "sick" {
  machine = machine.server
  value   = "sick"
  every   = "5ms"
  within  = "1s"
}

remedy "cure" {
  machine = machine.server
  run     = "cure.sh"
  soak    = "50ms"
}
