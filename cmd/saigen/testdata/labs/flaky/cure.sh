#!fake
fake set sick 0
