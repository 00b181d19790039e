lab "unsure" {
  title = "the fault is not in force"
}

expect {
  verdict = "reproduced"
}

image "host" {
  debian = "bookworm"
}

machine "server" {
  image = image.host
}

fault "fake" "switch" {
  machine = machine.server
  value   = "sick"
  fail    = "verify"
}

symptom "fake" "sick" {
  machine = machine.server
  value   = "sick"
  every   = "5ms"
  within  = "1s"
}
