lab "x" {
  title = "it includes what was not fetched with it"
}

expect { verdict = "reproduced" }

include { source = "../shared.hcl" }

include { source = "../../include/sub/lab.hcl" } # ERROR: Include from outside … belongs to this host

include { source = "/etc/saigen/include.hcl" } # ERROR: Include from outside … absolute path

include { source = "file:///etc/saigen/include.hcl" } # ERROR: Missing checksum

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}
