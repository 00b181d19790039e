lab "x" {
  title = "x"
}

axis "by" {
  values = ["file", "image"]
}

expect { verdict = "reproduced" }

vagrant {
  when = axis.by == "file"
  file = "team/Vagrantfile"
}

vagrant {
  when     = axis.by == "image"
  provider = "libvirt"
}

image "host" { debian = "bookworm" }

machine "server" {
  image  = axis.by == "image" ? image.host : null
  memory = "512MiB"
  account "alice" { session = "linger" }
  account "bob" {
    session   = "su"
    logged_in = true
  }
}

stack "alice" {
  machine = machine.server
  account = "alice"
  compose = "compose.yaml"
}

fault "container_churn" "deploys" {
  stack   = stack.alice
  service = "app"
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
