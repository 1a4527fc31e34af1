module github.com/massivesms/massivesms-go

go 1.19
