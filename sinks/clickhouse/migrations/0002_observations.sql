-- Every accepted statement is a row. A row is a pure function of its record, so a repeated insert folds away.
-- LowCardinality only in the key, where reads gain most: measured, it doubles the CPU of a merge for each row when every
-- repeated text has it. Twelve parts at once: a replay's rows are then merged once, not twice, while it runs.
CREATE TABLE IF NOT EXISTS {database}.observations {on_cluster}
(
    agency String,
    indicator LowCardinality(String),
    area LowCardinality(String),
    breakdown LowCardinality(String),
    time_period LowCardinality(String),
    bucket Date,
    value Nullable(Decimal(18, 4)),
    base Nullable(Decimal(18, 4)),
    status String,
    revision UInt32,
    note Nullable(String),
    submission String,
    observed_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    topic String,
    partition UInt32,
    offset UInt64,
    version UInt64,
    rules String,
    replay_of String
)
ENGINE = {engine:ReplacingMergeTree}
PARTITION BY toYear(bucket)
ORDER BY (indicator, bucket, area, breakdown, time_period, version)
SETTINGS min_parts_to_merge_at_once = 12;

-- argMax over a tuple: over a Nullable column it skips NULL, and a withdrawn figure would come back.
CREATE OR REPLACE VIEW {database}.latest_observations {on_cluster} AS
SELECT
    latest.1 AS agency,
    indicator,
    area,
    breakdown,
    time_period,
    bucket,
    latest.2 AS value,
    latest.3 AS base,
    latest.4 AS status,
    latest.5 AS revision,
    latest.6 AS note,
    latest.7 AS submission,
    latest.8 AS observed_at,
    latest.9 AS received_at,
    latest.10 AS topic,
    latest.11 AS partition,
    latest.12 AS offset,
    highest AS version,
    latest.13 AS rules,
    latest.14 AS replay_of
FROM
(
    SELECT
        indicator,
        area,
        breakdown,
        time_period,
        bucket,
        max(version) AS highest,
        argMax(
            (agency, value, base, status, revision, note, submission, observed_at, received_at, topic, partition, offset, rules, replay_of),
            version
        ) AS latest
    FROM {database}.observations
    GROUP BY indicator, area, breakdown, time_period, bucket
);
