module racing

go 1.19
