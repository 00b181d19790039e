# It tries: to have saigen ask an address of its host's: loopback
# refused: is this host itself

lab "include-loopback" {
  title = "to have saigen ask an address of its host's: loopback"
}

expect {
  verdict = "reproduced"
}

include {
  source   = "https://localhost/lab.hcl"
  checksum = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

image "host" {
  debian = "bookworm"
}

machine "m" {
  image = image.host
}

symptom "command" "s" {
  machine   = machine.m
  run       = "true"
  within    = "5s"
  exit_code = "over 0"
}
