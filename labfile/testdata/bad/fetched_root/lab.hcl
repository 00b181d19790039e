lab "x" {
  title = "what lies beside it is something else that was fetched"
}

expect { verdict = "reproduced" }

include { source = "../fetched_include/shared.hcl" } # ERROR: Include from outside … was fetched with it
