-- What metrics need besides events, imported from files (`streamgauge import`). A row that is imported again replaces
-- the earlier one of the same key, so that a corrected file is simply imported once more.
CREATE TABLE IF NOT EXISTS spend_raw
(
    day Date COMMENT 'day that the money was spent on, in the time zone of the plan',
    channel LowCardinality(String) COMMENT 'channel, as the events name it',
    campaign LowCardinality(String) COMMENT 'campaign, as the events name it; empty if the channel has none',
    amount Decimal(18, 6) COMMENT 'what was paid',
    currency LowCardinality(String) COMMENT 'code of the currency (EUR), empty if not said; amounts are never converted',
    impressions UInt64 COMMENT 'times that the advertisement was shown',
    clicks UInt64 COMMENT 'times that it was clicked',
    imported_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row was imported'
)
ENGINE = ReplacingMergeTree(imported_at)
ORDER BY (day, channel, campaign)
COMMENT 'money spent on channels and campaigns; read the view spend';

CREATE OR REPLACE VIEW spend AS
SELECT day, channel, campaign, amount, currency, impressions, clicks FROM spend_raw FINAL;

CREATE TABLE IF NOT EXISTS campaigns_raw
(
    name String COMMENT 'name, as the events of those who take part carry it',
    kind LowCardinality(String) COMMENT 'a sale, a check-in, ...',
    starts Date COMMENT 'first day, in the time zone of the plan',
    ends Date COMMENT 'last day, inclusive',
    comparison LowCardinality(String) COMMENT 'others: who was active without taking part; before: the same users before',
    cost Decimal(18, 6) COMMENT 'what the operation cost, coupons not counted',
    imported_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row was imported'
)
ENGINE = ReplacingMergeTree(imported_at)
ORDER BY name
COMMENT 'operations between two days: sales, check-ins, invitation campaigns; read the view campaigns';

CREATE OR REPLACE VIEW campaigns AS
SELECT name, kind, starts, ends, comparison, cost FROM campaigns_raw FINAL;

CREATE TABLE IF NOT EXISTS content_items_raw
(
    item String COMMENT 'id, as the events carry it',
    title String COMMENT 'title, for people',
    creator String COMMENT 'actor that made it, empty if not known',
    published DateTime64(3, 'UTC') COMMENT 'when it could be seen first',
    imported_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row was imported'
)
ENGINE = ReplacingMergeTree(imported_at)
ORDER BY item
COMMENT 'articles, videos, posts; read the view content_items';

CREATE OR REPLACE VIEW content_items AS
SELECT item, title, creator, published FROM content_items_raw FINAL;

CREATE TABLE IF NOT EXISTS user_attributes_raw
(
    actor String COMMENT 'user_id, or anonymous_id of a visitor',
    name LowCardinality(String) COMMENT 'name of the attribute',
    value String COMMENT 'its value',
    imported_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row was imported'
)
ENGINE = ReplacingMergeTree(imported_at)
ORDER BY (actor, name)
COMMENT 'what is known of users besides their events; read the view user_attributes';

CREATE OR REPLACE VIEW user_attributes AS
SELECT actor, name, value FROM user_attributes_raw FINAL;
