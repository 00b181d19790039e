lab "nested-kinds" {
  title = "assertions about numbers of others that cannot be"
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

machine "server" {
  image = image.host
  account "alice" { session = "linger" }
}

machine "other" {
  image = image.host
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

symptom "trend" "kind" {
  of "https" "seconds" { # ERROR: Unknown kind … Did you mean "http"?
    stack = stack.alice
  }
}

symptom "trend" "itself" {
  of "trend" "seconds" {} # ERROR: Unknown kind … It takes "command", "http" and "lonely".
}

symptom "trend" "names" {
  of "http" { # ERROR: Wrong number of names
    stack = stack.alice
  }
}

symptom "trend" "nothing" { # ERROR: Missing block … "of"
  up = true
}

symptom "trend" "settings" {
  of "http" "seconds" {
    stack  = stack.alice
    url    = "ftp://localhost:3000/" # ERROR: Wrong URL
    stats  = 200                     # ERROR: Unknown argument … Did you mean "status"?
    status = "many"                  # ERROR: Wrong type of value
  }
}

symptom "trend" "checked" {
  of "http" "seconds" {
    stack  = stack.alice
    url    = "http://localhost:3000/"
    status = 0 # ERROR: No status
  }
}

symptom "trend" "missing" {
  of "http" "seconds" { # ERROR: Missing argument … "stack"
    url = "http://localhost:3000/"
  }
}

symptom "trend" "account" {
  of "command" "code" {
    machine = machine.server
    account = "bob" # ERROR: Unknown account
    run     = ["true"]
  }
}

symptom "trend" "service" {
  of "lonely" "code" {
    machine = machine.server
    service = "app" # ERROR: Service without a stack
  }
}

symptom "trend" "two" {
  of "http" "seconds" {
    stack = stack.alice
    url   = "http://localhost:3000/"
  }

  per "command" "code" { # ERROR: Two machines
    machine = machine.other
    run     = ["true"]
  }
}

symptom "trend" "nowhere" { # ERROR: Nowhere to look
  of "command" "code" {
    run = ["true"]
  }
}
