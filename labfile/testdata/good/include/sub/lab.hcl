lab "x" {
  title = "x"
}

expect { verdict = "reproduced" }

include {
  source = "../common/rootless.hcl"
}

include {
  source = "../common"
}

include {
  source = "./own.hcl"
}

fault "container_churn" "deploys" {
  stack   = stack.alice
  service = "app"
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}

remedy "own" {
  machine = machine.server
  run     = "fix.sh"
}
