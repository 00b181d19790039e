lab "endless" {
  title = "the symptom never comes"
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
  value   = "other"
}

symptom "fake" "sick" {
  machine = machine.server
  value   = "sick"
  every   = "5ms"
  within  = "1h"
}
