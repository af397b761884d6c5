"""Metrics of YouTube-VIS, OVIS and DAVIS, computed as in the official evaluators.

Used by `vis eval` and by the validation of a training run.
"""
