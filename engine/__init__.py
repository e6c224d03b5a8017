"""Turns pixels into pixels: images, models, backends, tiling, degradation, metrics."""
