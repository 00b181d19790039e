module orphans-after-logout/app

go 1.24
