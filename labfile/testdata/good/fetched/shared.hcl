image "host" { debian = axis.debian }

machine "server" { image = image.host }
