lab "x" {
  title = "x"
}

expect { verdict = "reproduced" }

include {
  source = "" # ERROR: Empty source
}

include {
  source = "/etc/lab.hcl" # ERROR: Include from outside
}

include {
  source = "../../include.hcl" # ERROR: Include from outside
}

include {
  source = "gone.hcl" # ERROR: Cannot read the included file … it does not exist
}

include {
  source   = "../common/shared.hcl"
  checksum = "sha256:00" # ERROR: Checksum of a local file
}

include { # ERROR: Missing checksum
  source = "git::https://example.test/labs.git"
}

include {
  source   = "https://example.test/labs.tar.gz" # ERROR: Source from elsewhere not supported yet
  checksum = "sha256:00"
}

include {
  source = "${axis.debian}.hcl" # ERROR: Reference where only a value can be
}

include { # ERROR: Missing argument
  sorce = "x" # ERROR: Unknown argument … Did you mean "source"?
}

include {
  source = "../common/shared.hcl"
}
