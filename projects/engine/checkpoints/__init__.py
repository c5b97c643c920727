"""Files of a run: saved whole or in shards, found, loaded without running code, published."""
