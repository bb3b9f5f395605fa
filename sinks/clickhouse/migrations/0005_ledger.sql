-- Where each partition stands, with the counts of the whole prefix before next_offset. written_at is the one impure column.
CREATE TABLE IF NOT EXISTS {database}.ledger {on_cluster}
(
    topic LowCardinality(String),
    partition UInt32,
    next_offset UInt64,
    accepted UInt64,
    rejected UInt64,
    skipped UInt64,
    rules LowCardinality(String),
    topic_id String,
    partitions UInt32,
    written_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {engine:ReplacingMergeTree(next_offset)}
ORDER BY (topic, partition);
