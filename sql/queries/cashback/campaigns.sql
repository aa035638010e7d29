-- Of two who make the same version one meets the primary key.
-- name: InsertCampaign :exec
INSERT INTO campaigns (campaign_id, version, terms, created_by, created_at)
VALUES (@campaign_id, @version, @terms, @created_by, @created_at);

-- All campaigns as they are now. The table is read whole: it has hundreds of rows,
-- and is read once in a few seconds.
-- name: CurrentCampaigns :many
SELECT DISTINCT ON (campaign_id)
       campaign_id, version, terms, created_by, created_at
FROM campaigns
ORDER BY campaign_id, version DESC;

-- How many campaigns are enabled, at most one of the caller's choice left out: of
-- two who enable the last one allowed, one is run again and sees the other. The
-- table is read whole.
-- name: CountOtherEnabledCampaigns :one
SELECT count(*)
FROM (
    SELECT DISTINCT ON (campaign_id)
           campaign_id, (terms ->> 'enabled')::bool AS is_enabled
    FROM campaigns
    ORDER BY campaign_id, version DESC
) AS newest
WHERE is_enabled AND campaign_id <> @campaign_id::text;

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
