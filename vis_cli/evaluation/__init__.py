"""Segment the videos of a benchmark with a model and score the results; used by `vis eval` and by training."""
