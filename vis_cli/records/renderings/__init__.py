"""Modes of `vis render`: each one draws the frames of a video with the masks of a result."""
