# It tries: to read a file of the host while it is loaded
# refused: There is no function named "file"

lab "function" {
  title = "to read a file of the host while it is loaded"
}

expect {
  verdict = "reproduced"
}

image "host" {
  debian = "bookworm"
}

machine "m" {
  image = image.host
}

symptom "command" "s" {
  machine   = machine.m
  run       = file("/etc/shadow")
  within    = "5s"
  exit_code = "over 0"
}
