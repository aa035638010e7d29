package identity

// What is refused about API keys.
const (
	KeyNotFound           Code = "key_not_found"           // unknown, or of an owner that the caller doesn't reach
	KeyNotActive          Code = "key_not_active"          // revoked, expired or rotated before
	KeyExists             Code = "key_exists"              // the request made it before; its text is gone
	KeyIsConfigured       Code = "key_is_configured"       // a bootstrap key comes from the configuration
	ExceedsOwnPermissions Code = "exceeds_own_permissions" // nobody gives a key more than he may himself
)

// Refusals about API keys that say the same each time. Compare with errors.Is.
var (
	// ErrUnknownKey says that no valid key reads like this, or that it may not be
	// used from there. It is an ErrUnauthenticated.
	ErrUnknownKey            = &Failure{Code: Unauthenticated, Message: "the API key is unknown or over"}
	ErrKeyNotFound           = &Failure{Code: KeyNotFound, Message: "there is no such API key"}
	ErrKeyNotActive          = &Failure{Code: KeyNotActive, Message: "the API key is over, or another has taken its place"}
	ErrKeyIsConfigured       = &Failure{Code: KeyIsConfigured, Message: "a bootstrap key can't be rotated: create another key and revoke it"}
	ErrExceedsOwnPermissions = &Failure{Code: ExceedsOwnPermissions, Message: "a key can't do more than the one who makes it"}
)
