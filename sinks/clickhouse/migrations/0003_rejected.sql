-- Every refused record with its bytes. Closed when an observation of the topic bears its partition:offset as replay_of.
CREATE TABLE IF NOT EXISTS {database}.rejected {on_cluster}
(
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    reason LowCardinality(String),
    field LowCardinality(String),
    detail String,
    raw String CODEC(ZSTD(1)),
    schema_id Nullable(Int64),
    agency LowCardinality(String),
    indicator String,
    submission String,
    received_at DateTime64(3, 'UTC'),
    rules LowCardinality(String)
)
ENGINE = {engine:ReplacingMergeTree}
ORDER BY (topic, partition, offset);
