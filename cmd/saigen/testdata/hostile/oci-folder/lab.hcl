# It tries: to take a folder of the host for an image
# refused: Image not named by digest

lab "oci-folder" {
  title = "to take a folder of the host for an image"
}

expect {
  verdict = "reproduced"
}

image "part" {
  oci = "dir:/etc@sha256:0000000000000000000000000000000000000000000000000000000000000000"
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
