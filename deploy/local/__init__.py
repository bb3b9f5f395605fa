"""The local stack: a real Kafka and the real ClickHouse engine on loopback."""
