module gophers

go 1.19
