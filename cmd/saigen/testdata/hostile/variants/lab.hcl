# It tries: to be a million labs
# refused: more than 1000 variants

lab "variants" {
  title = "to be a million labs"
}

expect {
  verdict = "reproduced"
}

axis "a" {
  values = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
}

axis "b" {
  values = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
}

axis "c" {
  values = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
}

axis "d" {
  values = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
}

axis "e" {
  values = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
}

axis "f" {
  values = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
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
