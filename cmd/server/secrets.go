package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"florin/internal/audit"
	"florin/internal/platform/seal"
)

type secretsCommand struct {
	New    secretsNewCommand    `cmd:"" help:"Make a random key for FLORIN_ENCRYPTION_KEYS and print it."`
	Rotate secretsRotateCommand `cmd:"" help:"Seal everything in the database with the first of FLORIN_ENCRYPTION_KEYS, so that the others can go."`
}

type secretsNewCommand struct {
	ID string `arg:"" help:"Its id, such as 2026-02: a-z, 0-9, - and _."`
}

// Run prints ID:BASE64.
func (c *secretsNewCommand) Run() error {
	key := seal.NewKey(c.ID)
	if _, err := seal.Parse(key); err != nil {
		return err
	}
	fmt.Println(key)
	return nil
}

type secretsRotateCommand struct {
	peopleFlags
}

// Run may be called at any time and again, while servers run: each row is a
// transaction of its own. A key may be taken out of the configuration only after a
// run that began when no server sealed with it any more.
func (c *secretsRotateCommand) Run(ctx context.Context) error {
	return c.with(ctx, func(ctx context.Context, t tools) error {
		sealed, err := t.reseal(ctx)
		if err != nil {
			if errors.Is(err, seal.ErrUnknownKey) {
				return fmt.Errorf("%w: put it back behind the first of FLORIN_ENCRYPTION_KEYS", err)
			}
			return err
		}
		ids := t.sealer.IDs()
		fmt.Printf("Sealed again with %s: %d linked accounts, %d second factors, %d mails.\n",
			ids[0], sealed.LinkedAccounts, sealed.SecondFactors, sealed.Mails)
		for _, old := range ids[1:] {
			fmt.Printf("Nothing is sealed with %s any more. If every server had %s first when this run began, it can go.\n", old, ids[0])
		}
		return nil
	})
}

// sealedAgain counts rows.
type sealedAgain struct {
	LinkedAccounts int `json:"linkedAccounts"`
	SecondFactors  int `json:"secondFactors"`
	Mails          int `json:"mails"`
}

// reseal seals all there is with the first key and records that it was done.
func (t *tools) reseal(ctx context.Context) (done sealedAgain, err error) {
	for _, kind := range []struct {
		count *int
		run   func(context.Context) (int, error)
	}{
		{&done.LinkedAccounts, t.linked.Reseal}, {&done.SecondFactors, t.users.ResealSecondFactors}, {&done.Mails, t.outbox.Reseal},
	} {
		if *kind.count, err = kind.run(ctx); err != nil {
			return done, err
		}
	}
	if done == (sealedAgain{}) {
		return done, nil
	}
	after, err := json.Marshal(done)
	if err != nil {
		return done, err
	}
	return done, t.audit.Append(ctx, audit.Event{
		Action: "secrets.rotated", TargetKind: "encryption_key", TargetID: t.sealer.IDs()[0], After: after, Result: audit.OK,
	})
}
