"""Detectors of boxes whose weights are part of vis. This module does not import torch."""

from __future__ import annotations

PICODET_NAME = "picodet-s"
PICODET_PARAMETERS = 983_891  # a test compares it with the network
INCLUDED_DETECTORS = (PICODET_NAME,)
