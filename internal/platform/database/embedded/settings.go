package embedded

import (
	"fmt"
	"regexp"
	"strings"
)

// Setting is one CockroachDB cluster setting.
type Setting struct {
	Name  string
	Value string
}

var (
	settingName    = regexp.MustCompile(`^[a-z0-9_.]+$`)
	settingLiteral = regexp.MustCompile(`^(true|false|-?[0-9]+(\.[0-9]+)?)$`)
)

// ParseSettings reads cluster settings written as NAME=VALUE. It opens no
// connection, so a command line can check its flags with it before any work.
//
// Returns ErrBadSetting, with the bad entry quoted, when one is not a name of
// lower-case letters, digits, dots and underscores, an equals sign and a value.
// Whether CockroachDB knows the name shows only when Start applies it.
func ParseSettings(entries []string) ([]Setting, error) {
	settings := make([]Setting, 0, len(entries))
	for _, entry := range entries {
		name, value, found := strings.Cut(entry, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !found:
			return nil, fmt.Errorf("%w %q: write it as NAME=VALUE", ErrBadSetting, entry)
		case !settingName.MatchString(name):
			return nil, fmt.Errorf("%w %q: a name has only lower-case letters, digits, dots and underscores", ErrBadSetting, entry)
		case strings.ContainsRune(value, 0):
			return nil, fmt.Errorf("%w %q: the value holds a zero byte", ErrBadSetting, entry)
		}
		settings = append(settings, Setting{Name: name, Value: value})
	}
	return settings, nil
}

// String is the setting as it was written: NAME=VALUE.
func (s Setting) String() string { return s.Name + "=" + s.Value }

// statement is the SQL that applies the setting. Cluster settings take no
// placeholders, so whatever is not plainly a boolean or a number is quoted.
func (s Setting) statement() string {
	value := s.Value
	if !settingLiteral.MatchString(value) {
		value = "'" + strings.ReplaceAll(value, "'", "''") + "'"
	}
	return "SET CLUSTER SETTING " + s.Name + " = " + value
}
