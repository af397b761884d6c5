"""Seq Mask R-CNN: the layers and their named verbs; used by the engine and the trainer, knows torch only."""
