package identity_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/platform/dbtest"
)

func TestBadKeysAreRefusedByField(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		customer := w.owner(t, identity.Customer)
		many := slices.Repeat([]string{"192.0.2.1"}, identity.KeyNetworksMax+1)
		for name, test := range map[string]struct {
			key   identity.NewKey
			field string
		}{
			"no name":              {identity.NewKey{Name: " ", Role: identity.Admin}, "name"},
			"long name":            {identity.NewKey{Name: strings.Repeat("ü", 101), Role: identity.Admin}, "name"},
			"line break in name":   {identity.NewKey{Name: "a\nb", Role: identity.Admin}, "name"},
			"no UTF-8":             {identity.NewKey{Name: "a\xff", Role: identity.Admin}, "name"},
			"reserved name":        {identity.NewKey{Name: " BootStrap", Role: identity.Admin}, "name"},
			"no role":              {identity.NewKey{Name: "x"}, "role"},
			"unknown role":         {identity.NewKey{Name: "x", Role: "root"}, "role"},
			"owner missing":        {identity.NewKey{Name: "x", Role: identity.Merchant}, "ownerId"},
			"owner too many":       {identity.NewKey{Name: "x", Role: identity.Finance, OwnerID: customer}, "ownerId"},
			"more than the owner":  {identity.NewKey{Name: "x", Role: identity.Merchant, OwnerID: customer}, "role"},
			"no scope":             {identity.NewKey{Name: "x", Role: identity.Admin, Scopes: []identity.Permission{}}, "scopes"},
			"unknown scope":        {identity.NewKey{Name: "x", Role: identity.Admin, Scopes: []identity.Permission{"*"}}, "scopes"},
			"scope of another":     {identity.NewKey{Name: "x", Role: identity.Finance, Scopes: []identity.Permission{identity.KeysWrite}}, "scopes"},
			"past":                 {identity.NewKey{Name: "x", Role: identity.Admin, ExpiresAt: w.time()}, "expiresAt"},
			"year 10000":           {identity.NewKey{Name: "x", Role: identity.Admin, ExpiresAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "expiresAt"},
			"no network":           {identity.NewKey{Name: "x", Role: identity.Admin, Networks: []string{""}}, "networks"},
			"host name":            {identity.NewKey{Name: "x", Role: identity.Admin, Networks: []string{"example.com"}}, "networks"},
			"zone":                 {identity.NewKey{Name: "x", Role: identity.Admin, Networks: []string{"fe80::1%eth0"}}, "networks"},
			"too long a mask":      {identity.NewKey{Name: "x", Role: identity.Admin, Networks: []string{"192.0.2.0/33"}}, "networks"},
			"mapped and too wide":  {identity.NewKey{Name: "x", Role: identity.Admin, Networks: []string{"::ffff:192.0.2.0/95"}}, "networks"},
			"too many networks":    {identity.NewKey{Name: "x", Role: identity.Admin, Networks: many}, "networks"},
			"everything at a time": {identity.NewKey{Networks: many, Scopes: []identity.Permission{}}, "scopes"},
		} {
			key, text, err := w.Create(t.Context(), admin, test.key)
			if !isInvalid(err, test.field) || text != "" || key.ID != "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, bad := range []struct {
			owner string
			want  error
		}{{"user_none", identity.ErrUserNotFound}, {"\x00", identity.ErrUserNotFound}, {"x' OR '1'='1", identity.ErrUserNotFound}} {
			if _, _, err := w.Create(t.Context(), admin, identity.NewKey{Name: "x", Role: identity.Customer, OwnerID: bad.owner}); !errors.Is(err, bad.want) {
				t.Errorf("%s: %v", bad.owner, err)
			}
		}
		w.setUser(t, customer, "status", "LOCKED")
		if _, _, err := w.Create(t.Context(), admin, identity.NewKey{Name: "x", Role: identity.Customer, OwnerID: customer}); !errors.Is(err, identity.ErrUserNotActive) {
			t.Error(err)
		}
	})
}

// Whoever may make keys must not raise himself by making one.
func TestNobodyGivesAKeyMoreThanHeMay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		merchant, other := w.owner(t, identity.Merchant), w.owner(t, identity.Merchant)
		ofMerchant := &identity.Principal{ID: "a", Role: identity.Admin, OwnerID: merchant, UserID: merchant}
		narrow := &identity.Principal{ID: "b", Role: identity.Admin, Scopes: []identity.Permission{identity.KeysWrite, identity.AccountsRead}}
		operator := &identity.Principal{ID: "c", Role: identity.Operator}
		for name, test := range map[string]struct {
			by     *identity.Principal
			key    identity.NewKey
			isFine bool
		}{
			"all by few":           {narrow, identity.NewKey{Role: identity.Admin}, false},
			"another scope":        {narrow, identity.NewKey{Role: identity.Admin, Scopes: []identity.Permission{identity.AccountsRead, identity.AuditRead}}, false},
			"own scope":            {narrow, identity.NewKey{Role: identity.Admin, Scopes: []identity.Permission{identity.AccountsRead}}, true},
			"lesser role":          {narrow, identity.NewKey{Role: identity.Customer, OwnerID: merchant}, false},
			"more than the role":   {operator, identity.NewKey{Role: identity.Admin}, false},
			"another role":         {operator, identity.NewKey{Role: identity.Finance}, false}, // which may read the audit trail
			"the same role":        {operator, identity.NewKey{Role: identity.Operator}, true},
			"beyond one's reach":   {ofMerchant, identity.NewKey{Role: identity.Operator}, false},
			"another's":            {ofMerchant, identity.NewKey{Role: identity.Merchant, OwnerID: other}, false},
			"one's own":            {ofMerchant, identity.NewKey{Role: identity.Merchant, OwnerID: merchant}, true},
			"for an owner":         {admin, identity.NewKey{Role: identity.Merchant, OwnerID: other}, true},
			"unknown role's":       {&identity.Principal{Role: "x"}, identity.NewKey{Role: identity.Operator}, false},
			"nobody's":             {&identity.Principal{}, identity.NewKey{Role: identity.Operator}, false},
			"with no scope at all": {&identity.Principal{Role: identity.Admin, Scopes: []identity.Permission{}}, identity.NewKey{Role: identity.Admin}, false},
		} {
			test.key.Name = "x"
			made, _, err := w.Create(t.Context(), test.by, test.key)
			if test.isFine != (err == nil) || err != nil && !errors.Is(err, identity.ErrExceedsOwnPermissions) {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil && (made.CreatedBy != test.by.ID || made.Role != test.key.Role) {
				t.Errorf("%s: %+v", name, made)
			}
		}
		// Nor by rotating one that can do more.
		mighty, _ := w.create(t, identity.NewKey{Name: "mighty", Role: identity.Admin})
		if _, text, err := w.Rotate(t.Context(), narrow, mighty.ID, 0); !errors.Is(err, identity.ErrExceedsOwnPermissions) || text != "" {
			t.Error(err)
		}
		if key, err := w.Get(t.Context(), admin, mighty.ID); err != nil || !key.IsActive(w.time()) || key.ReplacedBy != "" {
			t.Errorf("%+v, %v", key, err)
		}
	})
}

func TestAnotherOwnersKeyIsNotThere(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		mine, others := w.owner(t, identity.Merchant), w.owner(t, identity.Merchant)
		own, _ := w.create(t, identity.NewKey{Name: "own", Role: identity.Merchant, OwnerID: mine})
		foreign, _ := w.create(t, identity.NewKey{Name: "foreign", Role: identity.Merchant, OwnerID: others})
		house, _ := w.create(t, identity.NewKey{Name: "house", Role: identity.Operator})
		me := &identity.Principal{ID: "m", Role: identity.Admin, OwnerID: mine, UserID: mine}
		for _, keyID := range []string{foreign.ID, house.ID, "key_none", "", "%", "\x00", "\xff"} {
			_, getErr := w.Get(t.Context(), me, keyID)
			_, revokeErr := w.Revoke(t.Context(), me, keyID)
			_, _, rotateErr := w.Rotate(t.Context(), me, keyID, 0)
			for _, err := range []error{getErr, revokeErr, rotateErr} {
				if !errors.Is(err, identity.ErrKeyNotFound) {
					t.Errorf("%s: %v", keyID, err)
				}
			}
		}
		listed, err := w.List(t.Context(), me, identity.KeyFilter{}, "", 1000)
		if err != nil || len(listed) != 1 || listed[0].ID != own.ID {
			t.Errorf("%+v, %v", listed, err)
		}
		if listed, err := w.List(t.Context(), me, identity.KeyFilter{OwnerID: others}, "", 1000); err != nil || len(listed) != 0 {
			t.Errorf("%+v, %v", listed, err)
		}
	})
}

func TestKeysAreListedByPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		owner := w.owner(t, identity.Merchant)
		want := map[string]bool{}
		for range 5 {
			made, _ := w.create(t, identity.NewKey{Name: "x", Role: identity.Merchant, OwnerID: owner})
			want[made.ID] = true
		}
		after, pages := "", 0
		for {
			page, err := w.List(t.Context(), admin, identity.KeyFilter{OwnerID: owner}, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range page {
				if !want[key.ID] || key.ID <= after {
					t.Errorf("%s after %s", key.ID, after)
				}
				delete(want, key.ID)
				after = key.ID
			}
			if pages++; len(page) < 2 {
				break
			}
		}
		if len(want) != 0 || pages != 3 {
			t.Errorf("%d missing after %d pages", len(want), pages)
		}
		// What a LIKE would take for a pattern is none, and nothing else is either.
		for _, prefix := range []string{"%", "florin_test_%", "'", "\x00", "\xff"} {
			for field, filter := range map[string]identity.KeyFilter{"prefix": {Prefix: prefix}, "ownerId": {OwnerID: prefix}} {
				if _, err := w.List(t.Context(), admin, filter, "", 10); !isInvalid(err, field) {
					t.Errorf("%q: %v", prefix, err)
				}
			}
			if _, err := w.List(t.Context(), admin, identity.KeyFilter{}, prefix, 10); !isInvalid(err, "after") {
				t.Errorf("%q: %v", prefix, err)
			}
		}
		if page, err := w.List(t.Context(), admin, identity.KeyFilter{OwnerID: owner, Prefix: "florin_testx"}, "", 10); err != nil || len(page) != 0 {
			t.Errorf("%d keys, %v", len(page), err)
		}
	})
}
