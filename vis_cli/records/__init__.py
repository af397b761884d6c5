"""The facts on disk: videos in and out, masks, results and the benchmarks' formats; never imports torch."""
