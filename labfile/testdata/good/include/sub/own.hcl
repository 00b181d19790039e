# Included files may include others, and a file is read once only.
include { source = "../common/rootless.hcl" }

image "app" { go = "app" }
