# It tries: to have a command run on the host by the tool that makes images
# refused: Wrong package name

lab "package-option" {
  title = "to have a command run on the host by the tool that makes images"
}

expect {
  verdict = "reproduced"
}

image "part" {
  debian   = "bookworm"
  packages = ["--setup-hook=id >/tmp/owned"]
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
