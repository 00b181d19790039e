# It tries: to have a file of the host in its report
# refused: path escapes from parent

lab "story-link" {
  title = "to have a file of the host in its report"
  story = "incident.md"
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
  run       = "true"
  within    = "5s"
  exit_code = "over 0"
}
