# It tries: to take a file of the host for a box
# refused: Wrong address of a box

lab "box-file" {
  title = "to take a file of the host for a box"
}

vagrant {
  box      = "file:///etc/passwd"
  checksum = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

expect {
  verdict = "reproduced"
}

machine "m" {}

symptom "command" "s" {
  machine   = machine.m
  run       = "true"
  within    = "5s"
  exit_code = "over 0"
}
