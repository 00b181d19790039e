module dns-blackout/app

go 1.24
