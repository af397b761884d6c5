"""Batches of many videos: the list, the shards, the plan, the manifest, the driver and its workers."""
