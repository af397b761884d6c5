"""Live video: cameras, network streams and pipes, read in a thread while the engine works.

`commands.live` uses this package: `opening` opens a source, `video` offers its frames to the engine, `lines` and
`overlay` write the results.
"""
