lab "nested-kinds" {
  title = "an assertion about the numbers of others"
}

axis "version" {
  values = ["v1", "v2"]
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

machine "server" {
  image = image.host
  account "alice" { session = "linger" }
}

stack "alice" {
  machine = machine.server
  account = "alice"
  compose = "compose.yaml"
}

fault "container_churn" "x" {
  stack   = stack.alice
  service = "app"
}

# It is observed where what is inside it is.
symptom "trend" "slower" {
  of "http" "seconds" {
    stack  = stack.alice
    url    = "http://localhost:3000/"
    status = 404
  }

  per "command" "code" {
    machine = machine.server
    account = "alice"
    run     = ["echo", axis.version]
  }

  up = true

  figure "slope" { value = "anything" }
}

invariant "trend" "steady" {
  of "command" "code" {
    machine = machine.server
    run     = ["true"]
  }
}
