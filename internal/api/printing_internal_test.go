package api

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"florin/internal/platform/dbtest/secrets"
)

// secretBodies are all types of bodies with secrets in them.
var secretBodies = []any{
	SignUpRequest{}, MailTokenRequest{}, ResetPasswordRequest{}, SignInRequest{}, ProofRequest{}, ChangePasswordRequest{}, CodeRequest{},
	LinkAccountRequest{}, SignedIn{}, Enrolment{}, RecoveryCodes{}, NewAPIKey{},
}

// Bodies may be logged by mistake, and show nothing.
func TestBodiesWithSecretsPrintNothing(t *testing.T) {
	const secret = "hunter2 and hunter3"
	secrets.Register(t, "member of a body", secret)
	for _, body := range secretBodies {
		log := secrets.NewLog(t)
		filled := reflect.New(reflect.TypeOf(body))
		fill(filled.Elem(), secret)
		for _, value := range []any{filled.Elem().Interface(), filled.Interface()} {
			for _, handler := range []slog.Handler{slog.NewJSONHandler(log, nil), slog.NewTextHandler(log, nil)} {
				slog.New(handler).Info("body", "value", value)
			}
			fmt.Fprintf(log, "%v %+v %#v %s %q %x %d\n", value, value, value, value, value, value, value)
			fmt.Fprintf(log, "%+v\n", struct{ Body any }{value})
		}
		if n := strings.Count(log.String(), unprinted); n != 20 {
			t.Errorf("%T stands %d times in %s", body, n, log)
		}
	}
}

// fill puts a text wherever a text can be.
func fill(into reflect.Value, text string) {
	switch into.Kind() {
	case reflect.String:
		into.SetString(text)
	case reflect.Slice:
		into.Set(reflect.MakeSlice(into.Type(), 1, 1))
		fill(into.Index(0), text)
	case reflect.Struct:
		for i := range into.NumField() {
			if into.Field(i).CanSet() {
				fill(into.Field(i), text)
			}
		}
	}
}

// What the document calls writeOnly is a secret.
func TestAllBodiesWithSecretsAreKnown(t *testing.T) {
	known := map[string]bool{}
	for _, body := range secretBodies {
		known[reflect.TypeOf(body).Name()] = true
	}
	_, engine := empty(Options{})
	var document struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ WriteOnly bool }
			}
		}
	}
	if err := json.Unmarshal(ask(engine, http.MethodGet, "/openapi.json").Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	found := 0
	for name, schema := range document.Components.Schemas {
		for property, p := range schema.Properties {
			if !p.WriteOnly {
				continue
			}
			found++
			if !known[name] {
				t.Errorf("%s of %s is a secret, and may be printed: see printing.go", property, name)
			}
		}
	}
	if found < len(secretBodies) {
		t.Errorf("only %d secrets in the document", found)
	}
}
