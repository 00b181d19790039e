lab "y" { # ERROR: Block not allowed in an included file
  title = "y"
}

axis "debian" { # ERROR: Block not allowed in an included file
  values = ["a"]
}

expect { verdict = "reproduced" } # ERROR: Block not allowed in an included file
