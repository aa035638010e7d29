package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// A flag that is added to serverFlags reaches the replicas too.
func TestFlagsReachTheReplicas(t *testing.T) {
	var want serverFlags
	fields := reflect.ValueOf(&want).Elem()
	for i := range fields.NumField() {
		field, name := fields.Field(i), fields.Type().Field(i).Name
		one, _, _ := strings.Cut(strings.TrimPrefix(fields.Type().Field(i).Tag.Get("enum"), ","), ",")
		switch {
		case one != "":
			field.SetString(one)
		case field.CanInt():
			field.SetInt(int64(1000 + i))
		case field.Kind() == reflect.String:
			field.SetString("a value of " + name)
		case field.Kind() == reflect.Bool:
			field.SetBool(true)
		default:
			t.Fatalf("%s is a %s: teach environment and this test how it is written", name, field.Type())
		}
	}
	for _, variable := range environment(want) {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	var c struct {
		Serve serveCommand `cmd:""`
	}
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"serve"}); err != nil {
		t.Fatal(err)
	}
	if c.Serve.serverFlags != want {
		t.Errorf("the replicas get %+v, not %+v", c.Serve.serverFlags, want)
	}
}
