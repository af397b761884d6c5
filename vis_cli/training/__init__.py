"""The paper's training: clips from stills and videos, pairs, losses, the loop. Used by `vis train`."""
