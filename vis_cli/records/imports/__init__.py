"""Readers of annotations that `vis import` turns into results. `formats` lists them."""
