package identity

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"florin/internal/mail"
)

const (
	nameMax    = 100
	addressMax = 300
	agentMax   = 200
)

var (
	// emailForm: ASCII alone, so that no two addresses look alike or become one in
	// another case. Domains in other scripts are written as punycode.
	emailForm = regexp.MustCompile("^[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$")
	phoneForm = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	// phoneSigns are what people put between digits.
	phoneSigns = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "", "/", "")
)

// normalEmail is the one form of an address by which a user is found.
func normalEmail(email string) (string, error) {
	email = strings.TrimSpace(email)
	if len(email) > mail.AddressMax {
		return "", invalid("email", "must not be longer than 254 characters")
	}
	// Before it is made lower case: K of Kelvin would become k.
	if strings.ContainsFunc(email, func(r rune) bool { return r > unicode.MaxASCII }) {
		return "", invalid("email", "must be an email address in ASCII; write other domains as punycode")
	}
	email = strings.ToLower(email)
	if mail.ValidateAddress(email) != nil || !emailForm.MatchString(email) {
		return "", invalid("email", "must be an email address, as in name@example.com")
	}
	return email, nil
}

// normalName is a name as it is stored.
func normalName(name string) (string, error) {
	if !utf8.ValidString(name) {
		return "", invalid("name", "must be UTF-8")
	}
	name = strings.Join(strings.Fields(norm.NFC.String(name)), " ")
	switch {
	case name == "" || utf8.RuneCountInString(name) > nameMax:
		return "", invalid("name", "must be 1 to 100 characters")
	case strings.ContainsFunc(name, isInvisible):
		return "", invalid("name", "must not contain control characters")
	}
	return name, nil
}

// isInvisible says that a character shows nothing or changes how its neighbours
// show, such as those that turn the direction of writing.
func isInvisible(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Co)
}

func (p *ProfilePatch) normalise() error {
	for _, field := range []struct {
		value  **string
		normal func(string) (string, error)
	}{{&p.Name, normalName}, {&p.Phone, normalPhone}, {&p.Address, normalPostalAddress}, {&p.Locale, normalLocale}} {
		if *field.value == nil {
			continue
		}
		normal, err := field.normal(**field.value)
		if err != nil {
			return err
		}
		*field.value = &normal
	}
	return nil
}

func normalPhone(phone string) (string, error) {
	phone = phoneSigns.Replace(strings.TrimSpace(phone))
	if phone != "" && !phoneForm.MatchString(phone) {
		return "", invalid("phone", "must be a number with its country, as in +4930123456")
	}
	return phone, nil
}

func normalPostalAddress(address string) (string, error) {
	if !utf8.ValidString(address) {
		return "", invalid("address", "must be UTF-8")
	}
	lines := strings.Split(strings.ReplaceAll(norm.NFC.String(address), "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
		if strings.ContainsFunc(lines[i], isInvisible) {
			return "", invalid("address", "must not contain control characters but for line ends")
		}
	}
	address = strings.Trim(strings.Join(lines, "\n"), "\n")
	if utf8.RuneCountInString(address) > addressMax {
		return "", invalid("address", "must not be longer than 300 characters")
	}
	return address, nil
}

func normalLocale(locale string) (string, error) {
	if locale == "" {
		return "", nil
	}
	tag, err := language.Parse(locale)
	if err != nil || len(locale) > 35 { // RFC 5646, 4.4.1
		return "", invalid("locale", "must be a language tag of BCP 47, as in de-DE")
	}
	return tag.String(), nil
}

// normalAgent is what a browser calls itself, made fit to be shown.
func normalAgent(agent string) string {
	agent = strings.Map(func(r rune) rune {
		if isInvisible(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(agent, ""))
	if runes := []rune(agent); len(runes) > agentMax {
		agent = string(runes[:agentMax])
	}
	return agent
}
