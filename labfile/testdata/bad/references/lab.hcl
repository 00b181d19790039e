lab "x" {
  title = "x"
}

expect { verdict = "reproduced" }

image "host" { debian = axis.debian } # ERROR: Unknown axis

image "app" { go = "./app" }

image "gost" { debian = bookworm } # ERROR: Unknown reference … write it in quotes: "bookworm"

machine "server" {
  image  = image.app # ERROR: Image without an init
  cpus   = machine.server.cpus # ERROR: Nothing below this address
  memory = imag.host # ERROR: Unknown reference … Did you mean "image"?
}

machine "second" { image = image } # ERROR: Incomplete reference

machine "third" { image = "host" } # ERROR: Not an address … Did you mean image.host?

machine "fourth" { image = machine.server } # ERROR: Reference to the wrong kind of thing … an image is needed here

machine "fifth" { image = "image.hots" } # ERROR: Unknown image … Did you mean "host"?

machine "sixth" { image = image["hots"] } # ERROR: Unknown image … Did you mean "host"?

machine "seventh" { image = image[1] } # ERROR: Unknown image … A name is needed here

machine "eighth" {
  image = image.gost
  account "alice" { session = linger } # ERROR: Unknown reference … "linger"
}

stack "alice" {
  machine = machine.eighth
  account = "alice"
  compose = "compose.yaml"
  images  = [image.app, image.ap, stack.alice, image.app] # ERROR: Unknown image … Did you mean "app"?
}

stack "bob" {
  machine = machine.eighth
  account = "alice"
  compose = "compose.yaml"
  images  = [image.app, stack.alice, image.app] # ERROR: Reference to the wrong kind; ERROR: Duplicate image
}

fault "container_churn" "deploys" {
  stack   = machine.server # ERROR: Reference to the wrong kind of thing … machine.server is a machine
  service = "app"
}

symptom "command" "fails" {
  machine = format("machine.%s", "servre") # ERROR: Unknown machine … Did you mean "server"?
  run     = [upper("a"), lowr("b")] # ERROR: Call to unknown function
}
