-- Per partition a version that lines were announced at of which no total may be left: none is announced at a lower one.
CREATE TABLE IF NOT EXISTS {database}.floors {on_cluster}
(
    topic LowCardinality(String),
    partition UInt32,
    version UInt64
)
ENGINE = {engine:ReplacingMergeTree(version)}
ORDER BY (topic, partition);
