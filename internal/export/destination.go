package export

import (
	"net/url"
	"path/filepath"
	"strings"
)

// Kind says who delivers an export.
type Kind string

// The kinds.
const (
	Folder     Kind = "FOLDER"     // florin export run writes files into a folder
	Changefeed Kind = "CHANGEFEED" // a job of CockroachDB delivers to the outside
)

// ParseDestination reads where an export goes: file:///folder for files, any
// other scheme for a job of the database. It returns the destination as the
// catalog keeps it, without user, password and query, where cloud URLs carry
// their keys: the same place has one spelling. Returns InvalidDestination.
func ParseDestination(text string) (destination string, kind Kind, err error) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme == "" {
		// Not the text itself: it may hold a secret.
		return "", "", InvalidDestination.Failure("the destination is no URL: write file:///path/of/folder")
	}
	scheme := strings.ToLower(parsed.Scheme)
	if scheme != "file" {
		if parsed.Host == "" {
			return "", "", InvalidDestination.Failure("the %s destination names no place: write %s://name/path", scheme, scheme)
		}
		bare := url.URL{Scheme: scheme, Host: hostOf(scheme, parsed.Host), Path: strings.TrimRight(parsed.Path, "/")}
		return bare.String(), Changefeed, nil
	}
	if parsed.Host != "" && parsed.Host != "localhost" || parsed.Opaque != "" || !filepath.IsAbs(parsed.Path) ||
		parsed.RawQuery != "" || parsed.Fragment != "" || strings.ContainsRune(parsed.Path, 0) {
		return "", "", InvalidDestination.Failure("the destination %s names no folder of this machine: write file:///path/of/folder, with three slashes", parsed.Redacted())
	}
	return FolderDestination(parsed.Path), Folder, nil
}

// hostOf is the one spelling of a URL's host. That of an external connection is
// its name, where case counts.
func hostOf(scheme, host string) string {
	if scheme == schemeExternal {
		return host
	}
	return strings.ToLower(host)
}

// FolderDestination is the destination of a folder of this machine, named by an
// absolute path.
func FolderDestination(path string) string {
	return (&url.URL{Scheme: "file", Path: filepath.Clean(path)}).String()
}

// folderPath is the folder of a destination that ParseDestination returned.
func folderPath(destination string) (string, error) {
	parsed, err := url.Parse(destination)
	if err != nil || parsed.Scheme != "file" {
		return "", InvalidDestination.Failure("%s is no folder", destination)
	}
	return parsed.Path, nil
}
