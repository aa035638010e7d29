package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"florin/internal/approval"
	"florin/internal/audit"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/mail"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/risk"
	"florin/internal/wallet"
)

// expiredInterval is how often what has expired is deleted.
const expiredInterval = 10 * time.Minute

// people are the parts of a replica that know who calls, and what he may.
type people struct {
	log       *slog.Logger
	audit     *audit.Log
	users     *identity.Users
	keys      *identity.Keys
	linked    *identity.LinkedAccounts
	rules     *risk.Rules
	approvals *approval.Approvals
	wallets   *wallet.Wallets
	outbox    *mail.Outbox
	canSend   bool
}

// newPeople puts the parts together. Nothing runs yet.
func newPeople(db *database.DB, books *ledger.Ledger, s settings, log *slog.Logger) people {
	if s.mailFolder != nil {
		s.mailFolder.Log = log
	}
	trail := audit.New(db, clock.System)
	p := people{log: log, audit: trail, canSend: s.sender != nil}
	p.outbox = mail.New(db, mail.Options{Sealer: s.sealer, Sender: s.sender, Clock: clock.System, Log: log})
	p.users = identity.NewUsers(db, identity.UsersOptions{
		Clock: clock.System, Log: trail, Mail: p.outbox, Sealer: s.sealer, PublicURL: s.publicURL,
		SessionIdle: s.sessionIdle, SessionMax: s.sessionMax,
	})
	p.keys = identity.NewKeys(db, identity.KeysOptions{Clock: clock.System, Log: trail, Environment: s.environment, Mail: p.outbox})
	p.linked = identity.NewLinkedAccounts(db, identity.LinkedAccountsOptions{Clock: clock.System, Log: trail, Sealer: s.sealer})
	p.rules = risk.New(db, risk.Options{Clock: clock.System, Log: trail, PersonBehind: p.keys.PersonBehind})
	p.approvals = approval.New(db, approval.Options{Clock: clock.System, Log: trail, Required: s.secondPerson})
	var bank wallet.Bank = wallet.NoBank{}
	if s.hasBank {
		bank = wallet.SimulatedBank{}
	}
	p.wallets = wallet.New(db, books, p.users, p.rules, p.linked, bank, wallet.Options{Clock: clock.System, Log: log, Audit: trail})
	return p
}

// background is what runs as long as the server does, once the database is
// migrated.
func (p *people) background() []func(context.Context) {
	run := []func(context.Context){
		func(ctx context.Context) { p.audit.Run(ctx, p.log) },
		func(ctx context.Context) { p.keys.Run(ctx, p.log) },
		p.wallets.Run, p.deleteExpired,
	}
	if !p.canSend {
		p.log.Warn("there is no mail server: mails, such as of sign-ups, wait in the database for a replica that has one (--smtp-url)")
		return run
	}
	return append(run, p.outbox.Run)
}

// deleteExpired deletes sessions and the like where the database does not.
func (p *people) deleteExpired(ctx context.Context) {
	for {
		if err := errors.Join(p.users.Sweep(ctx), p.outbox.Sweep(ctx)); err != nil && ctx.Err() == nil {
			p.log.Warn("what has expired could not be deleted; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(expiredInterval):
		}
	}
}
