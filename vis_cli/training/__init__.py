"""Training of a Seq Mask R-CNN: datasets, clips, losses and the training loop. Used by `vis train`."""
