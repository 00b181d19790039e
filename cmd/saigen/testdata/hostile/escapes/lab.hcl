# It tries: to write to the terminal of whoever lists it
# printed: only as text

lab "escapes" {
  title = "\u001b]0;owned\u0007\u001b]52;c;b3duZWQ=\u0007\u001b[2J\u009b2J\u202e::add-mask::x"
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
