lab "x" {
  title = "x" "y" # ERROR: Missing newline after argument
}

fault "no_such_kind" "x" { # what follows broken syntax is not looked at # ERROR: Unclosed configuration block
