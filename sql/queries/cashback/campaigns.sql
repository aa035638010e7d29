-- Of two who make the same version one meets the primary key.
-- name: InsertCampaign :exec
INSERT INTO campaigns (campaign_id, version, terms, created_by, created_at)
VALUES (@campaign_id, @version, @terms, @created_by, @created_at);

-- The campaigns that are enabled now, MaxCampaigns at most. Those whose time is over
-- are among them: a purchase may be reported late, or wait for its customer. Which
-- version is the newest is read off the primary key, for hundreds of campaigns, and
-- once in a few seconds.
-- name: EnabledCampaigns :many
SELECT c.campaign_id, c.version, c.terms, c.created_by, c.created_at
FROM (
    SELECT campaign_id, max(version)::bigint AS version
    FROM campaigns
    GROUP BY campaign_id
) AS newest
JOIN campaigns AS c ON c.campaign_id = newest.campaign_id AND c.version = newest.version
WHERE (c.terms ->> 'enabled')::bool
ORDER BY c.campaign_id;

-- How many campaigns are enabled, at most one of the caller's choice left out: of
-- two who enable the last one allowed, one is run again and sees the other. As
-- EnabledCampaigns.
-- name: CountOtherEnabledCampaigns :one
SELECT count(*)
FROM (
    SELECT campaign_id, max(version)::bigint AS version
    FROM campaigns
    GROUP BY campaign_id
) AS newest
JOIN campaigns AS c ON c.campaign_id = newest.campaign_id AND c.version = newest.version
WHERE (c.terms ->> 'enabled')::bool AND c.campaign_id <> @campaign_id::text;

-- By the primary key.
-- name: CurrentCampaign :one
SELECT campaign_id, version, terms, created_by, created_at
FROM campaigns
WHERE campaign_id = @campaign_id
ORDER BY version DESC
LIMIT 1;

-- A page of campaigns as they are now, by the primary key.
-- name: ListCampaigns :many
SELECT DISTINCT ON (campaign_id)
       campaign_id, version, terms, created_by, created_at
FROM campaigns
WHERE campaign_id > @after_campaign_id::text
ORDER BY campaign_id, version DESC
LIMIT @max_rows;

-- By the primary key, newest first.
-- name: CampaignVersions :many
SELECT campaign_id, version, terms, created_by, created_at
FROM campaigns
WHERE campaign_id = @campaign_id AND version < @before_version
ORDER BY version DESC
LIMIT @max_rows;
