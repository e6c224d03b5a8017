"""Synthetic damage: recipes are drawn into plans (pure data), plans are executed by the native kernels."""
