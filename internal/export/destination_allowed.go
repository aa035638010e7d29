package export

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Allowed is where jobs of the database may deliver to. It exists because a job
// runs with the reach of the database's nodes: without it, whoever may create an
// export could have them send the books to any address they can connect to. The
// zero value allows nothing.
type Allowed struct{ entries []*url.URL }

// sinks are what a job of CockroachDB can deliver to, each with the parameters
// that are a caller's own to give: credentials, which say who somebody is.
// All others say where data goes or how it is guarded on its way (AWS_ENDPOINT,
// insecure_tls_skip_verify), and are the operator's.
var sinks = map[string]sink{
	"s3": {holdsFiles: true, credentials: []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}},
	// Google's credentials are no caller's: their JSON can name files of the node
	// that reads it, and addresses that it calls (credential_source, token_url).
	"gs": {holdsFiles: true, secrets: []string{"CREDENTIALS", "BEARER_TOKEN"}},
	"kafka": {
		credentials: []string{"sasl_user", "sasl_password", "sasl_client_id", "sasl_client_secret", "client_cert", "client_key"},
		secrets:     []string{"api_key", "api_secret", "sasl_proprietary_client_assertion"},
	},
	"webhook-https": {credentials: []string{"client_cert", "client_key"}},
	// An external connection of the database: what it is, the database knows.
	schemeExternal: {holdsFiles: true},
}

const schemeExternal = "external"

type sink struct {
	holdsFiles  bool     // takes Parquet
	credentials []string // that a caller may give
	secrets     []string // that the operator alone may give
}

// isSecret says that a parameter is told to nobody but the database.
func (s sink) isSecret(parameter string) bool {
	return slices.Contains(s.credentials, parameter) || slices.Contains(s.secrets, parameter)
}

// parameterName is how a parameter is called in an answer: by its name when that
// looks like one that CockroachDB has. Else it may be the rest of a secret whose &
// was not percent-encoded.
func parameterName(name string) string {
	if parameterPattern.MatchString(name) {
		return "the parameter " + name
	}
	return "a parameter"
}

var parameterPattern = regexp.MustCompile(`^(AUTH|AWS_[A-Z_]{1,30}|ASSUME_ROLE|CREDENTIALS|BEARER_TOKEN|S3_STORAGE_CLASS|GOOGLE_BILLING_PROJECT|` +
	`api_(key|secret)|ca_cert|client_(cert|key)|file_size|insecure_tls_skip_verify|partition_format|sasl_[a-z_]{1,40}|tls_enabled|topic_(name|prefix))$`)

const sinkNames = "s3, gs, kafka, webhook-https and external"

// placePattern is what a host and a path may be made of: nothing that is read as
// another place by those who resolve dots, escapes or user names in URLs.
var placePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]+)?(/[A-Za-z0-9_.=-]*[A-Za-z0-9_=-])*/?$`)

// ParseAllowed reads the places that are allowed, each a URL such as
// s3://books/ledger?AWS_REGION=eu-west-1: that place and all beneath it, with
// those parameters. Returns InvalidDestination, UnknownScheme, and NeedsRunner
// for a folder.
func ParseAllowed(places []string) (Allowed, error) {
	var a Allowed
	for _, text := range places {
		entry, err := parseSinkURL(text)
		if err != nil {
			return Allowed{}, err
		}
		a.entries = append(a.entries, entry)
	}
	return a, nil
}

// parseSinkURL reads a destination of a job. Its errors hold no parameter.
func parseSinkURL(text string) (*url.URL, error) {
	place, kind, err := ParseDestination(text)
	if err != nil {
		return nil, err
	}
	if kind == Folder {
		return nil, NeedsRunner.Failure("%s is a folder, which the machine that has it writes: run there florin export run --to %s", place, place)
	}
	parsed, err := url.Parse(text)
	if err != nil {
		return nil, InvalidDestination.Failure("the destination is no URL")
	}
	parsed.Scheme = strings.ToLower(parsed.Scheme)
	parsed.Host = hostOf(parsed.Scheme, parsed.Host)
	if _, known := sinks[parsed.Scheme]; !known {
		return nil, UnknownScheme.Failure("an export can't go to %s: destinations are file:///folder, and with CockroachDB %s", place, sinkNames)
	}
	if parsed.User != nil || parsed.Fragment != "" || !placePattern.MatchString(parsed.Host+parsed.EscapedPath()) {
		return nil, InvalidDestination.Failure("the destination must be %s://name/path, of letters, digits, - _ . and =, without user name and fragment; credentials are parameters", parsed.Scheme)
	}
	query, err := url.ParseQuery(parsed.RawQuery)
	if err != nil {
		return nil, InvalidDestination.Failure("the parameters of %s can't be read: percent-encode their values", place)
	}
	for name, values := range query {
		if len(values) != 1 {
			return nil, InvalidDestination.Failure("%s of %s is given twice", parameterName(name), place)
		}
	}
	parsed.Path = strings.TrimRight(parsed.Path, "/")
	return parsed, nil
}

// resolve returns the URL that the database gets: what parseSinkURL read, with
// the parameters of the entry that allows it, of several the nearest. Returns
// DestinationNotAllowed.
func (a Allowed) resolve(asked *url.URL) (*url.URL, error) {
	place := url.URL{Scheme: asked.Scheme, Host: asked.Host, Path: asked.Path}
	entries := slices.Clone(a.entries)
	slices.SortStableFunc(entries, func(a, b *url.URL) int { return len(b.Path) - len(a.Path) })
	refused := DestinationNotAllowed.Failure("exports to %s are not allowed on this server: its operator names the places that are in --export-destinations", place.String())
	for _, entry := range entries {
		if entry.Scheme != asked.Scheme || entry.Host != asked.Host ||
			asked.Path != entry.Path && !strings.HasPrefix(asked.Path, entry.Path+"/") {
			continue
		}
		query, foreign := withCredentials(entry, asked)
		if foreign == "" {
			place.RawQuery = query.Encode()
			return &place, nil
		}
		refused = DestinationNotAllowed.Failure("%s of %s is for the operator to set, in --export-destinations", parameterName(foreign), place.String())
	}
	return nil, refused
}

// withCredentials adds the caller's credentials to an entry's parameters. It names
// a parameter that is neither a credential nor the entry's own, if there is one.
func withCredentials(entry, asked *url.URL) (query url.Values, foreign string) {
	query = entry.Query()
	for name, values := range asked.Query() {
		switch isSet := query.Has(name); {
		case isSet && query.Get(name) == values[0]:
		case !isSet && slices.Contains(sinks[asked.Scheme].credentials, name):
			query.Set(name, values[0])
		default:
			return nil, name
		}
	}
	return query, ""
}

// parametersHash is of the parameters that say where a destination is and how it
// is written to: two that differ in it are two, though they have one URL without.
// Secrets are left out, so that they can change.
func parametersHash(destination *url.URL) string {
	query := destination.Query()
	maps.DeleteFunc(query, func(name string, _ []string) bool { return sinks[destination.Scheme].isSecret(name) })
	return checksum([]byte(query.Encode()))
}

// check returns FormatNotPossible when a destination can't have a format.
func (s sink) check(format Format, scheme string) error {
	switch {
	case format == CSV:
		return FormatNotPossible.Failure("csv is for folders (florin export run): CockroachDB writes CSV only as a copy of what there is at one time, not as a feed that goes on; use ndjson or parquet")
	case format == Parquet && !s.holdsFiles:
		return FormatNotPossible.Failure("parquet is a format of files, and %s takes messages: use ndjson", scheme)
	}
	return nil
}

// queryPattern finds the parameters of a URL within a text.
var queryPattern = regexp.MustCompile(`\?[^\s"'<>?]*=[^\s"'<>]*`)

// errorTextMax bounds what is kept of a text of the database.
const errorTextMax = 500

// redact makes a text of the database fit to be shown and kept: one line, without
// the parameters of URLs and without the credentials of the destination, which
// may be nil.
func redact(text string, destination *url.URL) string {
	text = queryPattern.ReplaceAllString(text, "?...")
	if destination != nil {
		for name, values := range destination.Query() {
			if !sinks[destination.Scheme].isSecret(name) {
				continue
			}
			secret := values[0]
			for _, spelling := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
				if spelling != "" {
					text = strings.ReplaceAll(text, spelling, "...")
				}
			}
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > errorTextMax {
		text = strings.ToValidUTF8(text[:errorTextMax], "") + "..."
	}
	return text
}
