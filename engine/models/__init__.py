"""Models: networks, their files, the library, blending, and the classical baselines."""
