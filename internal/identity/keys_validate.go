package identity

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// validated returns the request in its normal form. Returns InvalidInput with all
// that is wrong with it.
func (n NewKey) validated(now time.Time) (NewKey, error) {
	var wrong InvalidInput
	refuse := func(field, problem string) {
		wrong.Fields = append(wrong.Fields, FieldError{Field: field, Problem: problem})
	}
	n.Name = strings.TrimSpace(n.Name)
	switch {
	case n.Name == "" || utf8.RuneCountInString(n.Name) > KeyNameMax:
		refuse("name", fmt.Sprintf("must be 1 to %d characters", KeyNameMax))
	case !utf8.ValidString(n.Name) || strings.ContainsFunc(n.Name, isInvisible):
		refuse("name", "must be one line of text")
	case strings.EqualFold(n.Name, bootstrapName):
		refuse("name", "is reserved for keys of the configuration")
	}
	switch {
	case !n.Role.IsKnown():
		refuse("role", "is unknown")
	case n.Role.ReachesOwnOnly() && n.OwnerID == "":
		refuse("ownerId", "is required for this role")
	case !n.Role.ReachesOwnOnly() && n.OwnerID != "":
		refuse("ownerId", "is not for this role, which reaches all accounts")
	}
	if !n.ExpiresAt.IsZero() {
		n.ExpiresAt = n.ExpiresAt.UTC().Truncate(time.Microsecond)
		if !n.ExpiresAt.After(now) {
			refuse("expiresAt", "must be in the future")
		} else if n.ExpiresAt.Year() > 9999 {
			refuse("expiresAt", "is too far away")
		}
	}
	if problem := n.normalizeScopes(); problem != "" {
		refuse("scopes", problem)
	}
	if problem := n.normalizeNetworks(); problem != "" {
		refuse("networks", problem)
	}
	if len(wrong.Fields) > 0 {
		return n, &wrong
	}
	return n, nil
}

// normalizeScopes sorts them and refuses those that the role doesn't have: they
// would promise what the key can't do.
func (n *NewKey) normalizeScopes() (problem string) {
	if n.Scopes == nil {
		return ""
	}
	if len(n.Scopes) == 0 {
		return "must name at least one, or be left out for all that the role may do"
	}
	n.Scopes = slices.Compact(slices.Sorted(slices.Values(n.Scopes)))
	for _, scope := range n.Scopes {
		if !slices.Contains(AllPermissions, scope) {
			return "has one that is unknown"
		}
		if n.Role.IsKnown() && !n.Role.May(scope) {
			return fmt.Sprintf("has %s, which the role may not", scope)
		}
	}
	return ""
}

// normalizeNetworks writes each as CIDR, sorted.
func (n *NewKey) normalizeNetworks() (problem string) {
	if len(n.Networks) > KeyNetworksMax {
		return fmt.Sprintf("must be %d at most", KeyNetworksMax)
	}
	normal := make([]string, len(n.Networks))
	for i, text := range n.Networks {
		network, err := parseNetwork(text)
		if err != nil {
			return fmt.Sprintf("has one that is neither an address nor CIDR, such as 203.0.113.0/24 (the %d. one)", i+1)
		}
		normal[i] = network.String()
	}
	slices.Sort(normal)
	n.Networks = slices.Compact(normal)
	return ""
}

// parseNetwork reads CIDR or one address. IPv4 in the clothes of IPv6
// (::ffff:192.0.2.1) is taken for what it is.
func parseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("not an address: %w", err)
		}
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	if network.Addr().Is4In6() {
		if network.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("it is wider than IPv4")
		}
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
	}
	return network.Masked(), nil
}

// mayGive refuses a key that could do what its maker may not: by permission or by
// reach. What a role may do for an owner counts although the maker has none.
func mayGive(by *Principal, n NewKey) error {
	if by.OwnerID != "" && n.OwnerID != by.OwnerID {
		return ErrExceedsOwnPermissions
	}
	given := n.Scopes
	if given == nil {
		given = n.Role.Permissions()
	}
	for _, permission := range given {
		if !by.Role.May(permission) || (by.Scopes != nil && !slices.Contains(by.Scopes, permission)) {
			return ErrExceedsOwnPermissions
		}
	}
	return nil
}

// lesser of two roles; "" when one is unknown.
func lesser(a, b Role) Role {
	i, j := slices.Index(Roles, a), slices.Index(Roles, b)
	if i < 0 || j < 0 {
		return ""
	}
	return Roles[min(i, j)]
}

func permissionTexts(permissions []Permission) []string {
	if permissions == nil {
		return nil
	}
	texts := make([]string, len(permissions))
	for i, p := range permissions {
		texts[i] = string(p)
	}
	return texts
}

func permissionsOf(texts []string) []Permission {
	if texts == nil {
		return nil
	}
	permissions := make([]Permission, len(texts))
	for i, text := range texts {
		permissions[i] = Permission(text)
	}
	return permissions
}

// notNull is an empty list for none.
func notNull(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}
