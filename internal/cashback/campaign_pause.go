package cashback

import "florin/internal/cashback/rules"

// IsCampaignID says whether a campaign can have this id.
func IsCampaignID(id string) bool { return campaignIDPattern.MatchString(id) }

// IsAtMostPausedBy says whether these terms differ from the campaign's in nothing but,
// perhaps, that they pause it: such a change gives nothing away.
func (c *Campaign) IsAtMostPausedBy(t rules.Terms) bool {
	was := c.Terms
	was.Enabled = c.Enabled && t.Enabled
	return isSame(was, inUTC(t))
}
