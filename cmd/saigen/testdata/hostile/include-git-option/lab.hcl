# It tries: to have saigen ask an address of its host's: ssh
# refused: only https:// is taken

lab "include-git-option" {
  title = "to have saigen ask an address of its host's: ssh"
}

expect {
  verdict = "reproduced"
}

include {
  source   = "git::ssh://-oProxyCommand=id/x?ref=0000000000000000000000000000000000000000"
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
