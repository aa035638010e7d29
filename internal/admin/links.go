package admin

import (
	"net/url"
	"strings"
)

// partyPath is the page of who did something, by his id: of a user or of a key. ""
// for who has none: a gateway, the program itself.
func partyPath(id string) string {
	switch {
	case strings.HasPrefix(id, "user_"):
		return pagePath("users", id)
	case strings.HasPrefix(id, "key_"):
		return pagePath("keys", id)
	}
	return ""
}

// listOf is the path of a list with one filter set.
func listOf(path, name, value string) string {
	return path + "?" + url.Values{name: {value}}.Encode()
}
