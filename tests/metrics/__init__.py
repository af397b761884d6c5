"""Tests of vis_cli.metrics."""
