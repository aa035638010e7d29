package admin

import (
	"context"
	"net/url"
	"strings"

	"florin/internal/identity"
)

// callerIn is who looks at the page that is being rendered; nil for nobody.
func callerIn(ctx context.Context) *caller {
	known, _ := ctx.Value(requestKey{}).(*pageRequest)
	if known == nil {
		return nil
	}
	return known.caller
}

// partyPath is the page of who did something, by his id: of a user or of a key. ""
// for who has none, a gateway or the program itself, and where the caller may not
// see it.
func partyPath(ctx context.Context, id string) string {
	kind, _, _ := strings.Cut(id, "_")
	if kind != "user" && kind != "key" {
		return ""
	}
	return targetPath(ctx, kind, id)
}

// targetPages are the pages of what ids name, by its kind on the audit trail, and
// what whoever opens them needs.
var targetPages = map[string]struct {
	path  []string
	needs identity.Permission
}{
	"account":           {[]string{"accounts"}, identity.AccountsRead},
	"approval":          {[]string{"approvals"}, identity.ApprovalsRead},
	"campaign":          {[]string{"campaigns"}, identity.CashbackRead},
	"cashback_customer": {[]string{"customers"}, identity.PurchasesRead},
	"hold":              {[]string{"holds"}, identity.HoldsRead},
	"key":               {[]string{"keys"}, identity.KeysRead},
	"payment":           {[]string{"transactions"}, identity.TransactionRead},
	"purchase":          {[]string{"purchases"}, identity.PurchasesRead},
	"risk_rule":         {[]string{"risk", "rules"}, identity.RiskRead},
	"transaction":       {[]string{"transactions"}, identity.TransactionRead},
	"user":              {[]string{"users"}, identity.UsersRead},
}

// targetPath is the page of what an id names; "" where there is none, and where the
// caller may not see it.
func targetPath(ctx context.Context, kind, id string) string {
	target, isKnown := targetPages[kind]
	if id == "" || !isKnown || !callerIn(ctx).May(target.needs) {
		return ""
	}
	return pagePath(append(target.path[:len(target.path):len(target.path)], id)...)
}

// listOf is the path of a list with one filter set.
func listOf(path, name, value string) string {
	return path + "?" + url.Values{name: {value}}.Encode()
}
