module stale-dns/app

go 1.24
