"""What is said and what it means: Avro schemas, catalogue, periods, codec, rules. No network, no clock."""
