# It tries: to have a file of the host in an image, by a link in an npm project
# image: config is not a plain file

lab "npm-link" {
  title = "to have a file of the host in an image, by a link in an npm project"
}

expect {
  verdict = "reproduced"
}

image "part" {
  debian = "bookworm"
  npm    = "./site"
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
