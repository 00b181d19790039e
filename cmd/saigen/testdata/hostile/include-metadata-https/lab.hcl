# It tries: to have saigen ask an address of its host's: metadata
# refused: metadata services lie there

lab "include-metadata-https" {
  title = "to have saigen ask an address of its host's: metadata"
}

expect {
  verdict = "reproduced"
}

include {
  source   = "https://169.254.169.254/latest/meta-data/iam"
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
