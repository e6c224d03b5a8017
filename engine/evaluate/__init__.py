"""Scores a model on folders of pictures: with ground truth figures and a baseline beside them, without it pictures."""

from engine.evaluate.cli import add_evaluate_parser as add_evaluate_parser
