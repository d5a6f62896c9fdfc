module loopback-lab/app

go 1.26
