"""Files as such: atomic writing, bounded reading, safe names, size limits. Used by every layer above."""
