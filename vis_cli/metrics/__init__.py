"""The benchmarks' evaluators: how good a result is, in the benchmarks' own numbers.

Used by `eval` and by the training, which watches its progress with them.
"""
