package api

import (
	"context"
	"errors"

	"florin/internal/approval"
	"florin/internal/cashback"
	"florin/internal/cashback/rules"
)

// campaignChange makes or changes a campaign, or changes what campaigns share.
type campaignChange struct {
	CampaignID string         `json:"campaignId,omitempty"`
	Version    int64          `json:"version"` // that the change is made of; 0 for the first
	Terms      *rules.Terms   `json:"terms,omitempty"`
	Program    *rules.Program `json:"program,omitempty"`
}

// programTarget names the program where a change of it waits. No campaign is called
// so.
const programTarget = "cashback_program"

func (c campaignChange) do(ctx context.Context, a *api) error {
	var err error
	switch {
	case c.Program != nil:
		_, err = a.cashback.ChangeProgram(ctx, c.Version, *c.Program)
	case c.Terms == nil:
		err = errors.New("a change is of a campaign's terms, or of the program")
	case c.Version == 0:
		_, err = a.cashback.CreateCampaign(ctx, c.CampaignID, *c.Terms)
	default:
		_, err = a.cashback.ChangeCampaign(ctx, c.CampaignID, c.Version, *c.Terms)
	}
	return err
}

// secondPersonForNew asks for the second person whom a new campaign can need. It lets
// a request go on where the campaign is there: that makes none, whatever it says.
func (a *api) secondPersonForNew(ctx context.Context, campaignID string, terms *rules.Terms) error {
	if !a.needsSecondPerson(approval.CampaignChange) {
		return nil
	}
	if !cashback.IsCampaignID(campaignID) {
		return invalidField("campaignId", "must have 1 to 24 characters of a-z 0-9 - and begin with a letter or digit")
	}
	if err := terms.Validate(); err != nil {
		return err
	}
	_, err := a.cashback.Campaign(ctx, campaignID)
	if !errors.Is(err, cashback.CampaignNotFound.Failure("")) {
		return err
	}
	return a.secondPerson(ctx, approval.CampaignChange, campaignID, campaignChange{CampaignID: campaignID, Terms: terms})
}

// secondPersonForCampaign asks for the second person whom a campaign's change can
// need: whoever pauses one, and changes nothing else, needs none. Versions only grow,
// and never change: what is found here is as true when the change is made.
func (a *api) secondPersonForCampaign(ctx context.Context, campaignID string, version int64, terms *rules.Terms) error {
	if !a.needsSecondPerson(approval.CampaignChange) {
		return nil
	}
	if err := terms.Validate(); err != nil {
		return err
	}
	current, err := a.cashback.Campaign(ctx, campaignID)
	switch {
	case err != nil:
		return err
	case current.Version < version:
		return cashback.CampaignChanged.Failure("campaign %s has version %d, the change is of version %d: read it again", campaignID, current.Version, version)
	case current.Version > version: // a repeat, or refused
		return nil
	case current.IsAtMostPausedBy(*terms):
		return nil
	}
	return a.secondPerson(ctx, approval.CampaignChange, campaignID, campaignChange{CampaignID: campaignID, Version: version, Terms: terms})
}

// secondPersonForProgram asks for the second person whom a change of what campaigns
// share can need.
func (a *api) secondPersonForProgram(ctx context.Context, version int64, program *rules.Program) error {
	if !a.needsSecondPerson(approval.CampaignChange) {
		return nil
	}
	if err := program.Validate(); err != nil {
		return err
	}
	current, err := a.cashback.Program(ctx)
	switch {
	case err != nil:
		return err
	case current.Version < version:
		return cashback.ProgramChanged.Failure("the program has version %d, the change is of version %d: read it again", current.Version, version)
	case current.Version > version: // a repeat, or refused
		return nil
	}
	program.Version = version
	return a.secondPerson(ctx, approval.CampaignChange, programTarget, campaignChange{Version: version, Program: program})
}
