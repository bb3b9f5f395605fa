-- An agency asks for its submissions by reference, which no order of the table knows: without this every row is read.
ALTER TABLE {database}.observations {on_cluster} ADD INDEX IF NOT EXISTS submission submission TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE {database}.observations {on_cluster} MATERIALIZE INDEX submission;
