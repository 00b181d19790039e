lab "x" { # ERROR: Lab without a symptom; ERROR: Lab without a machine; WARNING: Lab without a fault
  title = "x"
}

expect { verdict = "reproduced" }
