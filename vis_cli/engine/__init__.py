"""The paper's inference: propose sequences from key frames, then reduce them; used by the commands."""
