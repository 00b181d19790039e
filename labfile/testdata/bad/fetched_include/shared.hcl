image "host" { debian = "bookworm" }

machine "server" { image = image.host }
