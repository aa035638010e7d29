package database_test

import (
	"testing"

	"florin/internal/platform/database"
)

func TestRemoteDatabasesWithoutVerifiedTLSAreExposed(t *testing.T) {
	for url, want := range map[string]bool{
		"postgres://u@127.0.0.1:5432/x":                                                false,
		"postgres://u@localhost/x?sslmode=disable":                                     false,
		"postgres://u@[::1]/x":                                                         false,
		"postgres://u@/x?host=/var/run/postgresql":                                     false,
		"postgres://u@db.example.com/x?sslmode=verify-full":                            false,
		"postgres://u@db.example.com/x":                                                true,
		"postgres://u@db.example.com/x?sslmode=disable":                                true,
		"postgres://u@db.example.com/x?sslmode=require":                                true,
		"postgres://u@10.0.0.7/x?sslmode=prefer":                                       true,
		"postgres://u@127.0.0.1,db.example.com/x?sslmode=disable":                      true,
		"postgres://u@db1.example.com:5432,db2.example.com:5432/x?sslmode=verify-full": false,
		"no database": false,
	} {
		if got := database.IsExposed(url); got != want {
			t.Errorf("%s: %v; want %v", url, got, want)
		}
	}
}
