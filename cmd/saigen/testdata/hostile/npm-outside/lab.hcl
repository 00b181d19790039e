# It tries: to have a folder of the host in an image
# refused: Path leaves the folder

lab "npm-outside" {
  title = "to have a folder of the host in an image"
}

expect {
  verdict = "reproduced"
}

image "part" {
  debian = "bookworm"
  npm    = "../../../.."
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
