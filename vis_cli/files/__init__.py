"""Atomic writing, bounded reading, safe names and size limits of files. Used by every layer above."""
