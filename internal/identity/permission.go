package identity

import (
	"slices"
	"strings"
)

// Permission is something that a caller may do. A permission is also the scope
// of an API key: a key does no more than its scopes say, and never more than its
// role may.
type Permission string

// The permissions. Those of "me" are about the caller's own user and his
// accounts.
const (
	AccountsRead    Permission = "accounts:read"
	AccountsWrite   Permission = "accounts:write"  // open, close, metadata, overdraft
	AccountsFreeze  Permission = "accounts:freeze" // and unfreeze
	LimitsWrite     Permission = "limits:write"    // amount limits of accounts and roles
	TransactionRead Permission = "transactions:read"
	TransfersWrite  Permission = "transfers:write"
	TransfersUndo   Permission = "transfers:reverse"
	TransfersForce  Permission = "transfers:force" // reverse although the money is gone
	HoldsRead       Permission = "holds:read"
	HoldsWrite      Permission = "holds:write"
	ExportsRead     Permission = "exports:read"
	ExportsWrite    Permission = "exports:write"
	UsersRead       Permission = "users:read"
	UsersWrite      Permission = "users:write" // lock, unlock, sign out
	RolesWrite      Permission = "roles:write"
	KeysRead        Permission = "keys:read"
	KeysWrite       Permission = "keys:write"
	AuditRead       Permission = "audit:read"
	RiskRead        Permission = "risk:read"
	RiskWrite       Permission = "risk:write" // rules
	ReviewsDecide   Permission = "reviews:decide"
	ApprovalsRead   Permission = "approvals:read"
	ApprovalsDecide Permission = "approvals:decide"
	PurchasesRead   Permission = "purchases:read"  // and returns, and customers of cashback
	PurchasesWrite  Permission = "purchases:write" // clicks, purchases, returns, customers
	CashbackRead    Permission = "cashback:read"   // campaigns, figures, rewards
	CampaignsWrite  Permission = "campaigns:write" // and the program that they share
	ReportsRead     Permission = "reports:read"    // of all accounts
	ConsoleUse      Permission = "console:use"     // SQL on the schema reporting
	MeRead          Permission = "me:read"
	MeWrite         Permission = "me:write" // profile, credentials, sessions, linked accounts
	MePay           Permission = "me:pay"   // accounts, deposits, withdrawals, transfers of one's own
)

// Role says what a user or an API key may do at most.
type Role string

// The roles.
const (
	Customer Role = "customer"
	Merchant Role = "merchant"
	Support  Role = "support"
	Finance  Role = "finance"
	Operator Role = "operator"
	Admin    Role = "admin"
)

// Roles are all roles, the least powerful first.
var Roles = []Role{Customer, Merchant, Support, Finance, Operator, Admin}

var own = []Permission{MeRead, MeWrite, MePay}

// permissions is the one table of who may do what. Customers and merchants reach
// what is theirs alone, whatever the permission (Principal.OwnerID).
var permissions = map[Role][]Permission{
	Customer: own,
	Merchant: append([]Permission{
		AccountsRead, TransactionRead, TransfersWrite, TransfersUndo, HoldsRead, HoldsWrite, CashbackRead,
	}, own...),
	Support: {
		MeRead, MeWrite, AccountsRead, AccountsFreeze, TransactionRead, HoldsRead, UsersRead, UsersWrite, RiskRead,
		PurchasesRead, CashbackRead,
	},
	Finance: {
		MeRead, MeWrite, AccountsRead, TransactionRead, TransfersUndo, HoldsRead, ExportsRead, ExportsWrite, UsersRead,
		AuditRead, RiskRead, ApprovalsRead, ApprovalsDecide, PurchasesRead, CashbackRead, CampaignsWrite,
		ReportsRead, ConsoleUse,
	},
	Operator: {
		MeRead, MeWrite, AccountsRead, AccountsWrite, AccountsFreeze, LimitsWrite, TransactionRead, TransfersWrite, TransfersUndo,
		TransfersForce, HoldsRead, HoldsWrite, ExportsRead, ExportsWrite, UsersRead, UsersWrite, KeysRead,
		RiskRead, RiskWrite, ReviewsDecide, ApprovalsRead, ApprovalsDecide, PurchasesRead, PurchasesWrite, CashbackRead,
		ReportsRead,
	},
	Admin: AllPermissions,
}

// AllPermissions are all of them.
var AllPermissions = []Permission{
	AccountsRead, AccountsWrite, AccountsFreeze, LimitsWrite, TransactionRead, TransfersWrite, TransfersUndo, TransfersForce,
	HoldsRead, HoldsWrite, ExportsRead, ExportsWrite, UsersRead, UsersWrite, RolesWrite, KeysRead, KeysWrite, AuditRead,
	RiskRead, RiskWrite, ReviewsDecide, ApprovalsRead, ApprovalsDecide, PurchasesRead, PurchasesWrite, CashbackRead, CampaignsWrite,
	ReportsRead, ConsoleUse,
	MeRead, MeWrite, MePay,
}

// Permissions are what the role may do; none for an unknown role.
func (r Role) Permissions() []Permission { return slices.Clone(permissions[r]) }

// May says whether the role may do p.
func (r Role) May(p Permission) bool { return slices.Contains(permissions[r], p) }

// IsKnown says whether there is such a role.
func (r Role) IsKnown() bool { return slices.Contains(Roles, r) }

// ReachesOwnOnly says that the role sees and moves its owner's accounts alone.
func (r Role) ReachesOwnOnly() bool { return r == Customer || r == Merchant }

// IsOwn says that the permission is about the caller's own user, which programs
// without an owner do not have.
func (p Permission) IsOwn() bool { return strings.HasPrefix(string(p), "me:") }
