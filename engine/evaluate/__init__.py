"""Scores a model on folders of pictures: with ground truth figures and a baseline beside them, without it pictures."""
