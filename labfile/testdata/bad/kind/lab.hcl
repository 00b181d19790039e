lab "kind" {
  title = "kinds that are not there"
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

machine "server" { image = image.host }

fault "container_chum" "x" { # ERROR: Unknown kind … Did you mean "container_churn"?
  anything = 1
}

symptom "htpt" "x" { # ERROR: Unknown kind … Did you mean "http"?
}

invariant "no_such_thing" "x" { # ERROR: Unknown kind … There is "command",
}
