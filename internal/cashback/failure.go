package cashback

import (
	"florin/internal/cashback/rules"
	"florin/internal/platform/failure"
)

// Code is a stable name of why something can't be done. Codes are part of the
// API: they are never renamed.
type Code string

// The codes, each with what it means.
const (
	CampaignExists        Code = "campaign_exists"         // the id is taken by another campaign
	CampaignNotFound      Code = "campaign_not_found"      // there is no campaign with this id
	CampaignChanged       Code = "campaign_changed"        // somebody else has changed it since it was read
	BudgetBelowSpent      Code = "budget_below_spent"      // less than what the campaign has given already
	TooManyCampaigns      Code = "too_many_campaigns"      // each purchase is evaluated under all of them
	ProgramChanged        Code = "program_changed"         // somebody else has changed it since it was read
	CustomerNotFound      Code = "customer_not_found"      // no customer was entered with this id
	PurchaseNotFound      Code = "purchase_not_found"      // there is no purchase with this id
	DuplicatePurchase     Code = "duplicate_purchase"      // the id is taken by another purchase
	DuplicateReturn       Code = "duplicate_return"        // the id is taken by another return
	DuplicateClick        Code = "duplicate_click"         // the id is taken by another click
	ReturnNotFound        Code = "return_not_found"        // there is no return with this id
	ReturnExceedsPurchase Code = "return_exceeds_purchase" // more than what is left of the purchase
	NothingToReturn       Code = "nothing_to_return"       // no purchase of the customer's has it
	RewardNotFound        Code = "reward_not_found"        // there is no reward with this id
	PeriodTooLarge        Code = "period_too_large"        // more purchases than one simulation takes
)

// Failure is a refusal: the request was understood and can't be done. Nothing of
// it was applied. It is an error; errors.Is compares the code alone, so
// errors.Is(err, CampaignNotFound.Failure("")) holds for any text.
type Failure = failure.Of[Code]

// Failure is a refusal with this code.
func (c Code) Failure(format string, args ...any) *Failure {
	return failure.New(c, format, args...)
}

// InvalidInput says that a request makes no sense, whatever is stored. Nothing of
// it was applied. It is that of the rules, so that terms and requests are refused
// alike.
type InvalidInput = rules.InvalidInput

// FieldError is one field's problem: its name in the API, such as
// "lines[3].quantity", and what is wrong with it.
type FieldError = rules.FieldError

// invalid is the refusal of one field.
func invalid(field, format string, args ...any) error {
	return failure.Invalidf(field, format, args...)
}
