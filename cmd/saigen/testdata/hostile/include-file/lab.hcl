# It tries: to have saigen ask an address of its host's: file
# refused: only https:// is taken

lab "include-file" {
  title = "to have saigen ask an address of its host's: file"
}

expect {
  verdict = "reproduced"
}

include {
  source   = "file:///etc/passwd"
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
