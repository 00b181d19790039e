# ERROR: Missing lab block
