package main

import (
	"errors"
	"strings"
	"testing"
)

func TestPasswordsAreReadAsTyped(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		"secret": "secret", "secret\n": "secret", "secret\r\n": "secret", " with blanks \nsecond\n": " with blanks ", "": "", "\n": "", "\r\nx": "",
	} {
		got, err := readPassword(strings.NewReader(input))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", input, got, err)
		}
	}
}

func TestAPasswordIsAskedTwice(t *testing.T) {
	t.Parallel()
	typed := func(answers ...string) func(string) (string, error) {
		return func(string) (string, error) {
			if len(answers) == 0 {
				return "", errors.New("interrupted")
			}
			first := answers[0]
			answers = answers[1:]
			return first, nil
		}
	}
	if got, err := askPassword(typed("one", "one")); got != "one" || err != nil {
		t.Error(got, err)
	}
	for _, answers := range [][]string{{"one", "two"}, {"one"}, {}} {
		if got, err := askPassword(typed(answers...)); got != "" || err == nil {
			t.Errorf("%q: %q, %v", answers, got, err)
		}
	}
}
