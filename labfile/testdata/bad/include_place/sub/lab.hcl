lab "x" {
  title = "x"
}

expect { verdict = "reproduced" }

include { source = "../common" }

fault "container_churn" "deploys" {
  stack   = stack.alice
  service = "app"
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
