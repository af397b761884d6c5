"""Readers of datasets of annotated images, such as training data. `formats` lists them."""
