-- What a line amounts to now, per area. Version is the next offset folded in the owning partition: the newest wins.
CREATE TABLE IF NOT EXISTS {database}.day_totals {on_cluster}
(
    bucket Date,
    indicator LowCardinality(String),
    area LowCardinality(String),
    breakdown LowCardinality(String),
    value Nullable(Decimal(18, 4)),
    min Nullable(Decimal(18, 4)),
    max Nullable(Decimal(18, 4)),
    areas_reported UInt32,
    areas_expected UInt32,
    cells UInt32,
    status String,
    flags Array(String),
    version UInt64,
    updated_at DateTime64(3, 'UTC')
)
ENGINE = {engine:ReplacingMergeTree(version)}
PARTITION BY toYear(bucket)
ORDER BY (bucket, indicator, area, breakdown);
