"""Inference: one model's answers to all prompts, each generated once and kept."""

from falserefusal.inference.decoding import Decoding
from falserefusal.inference.respond import model_settings, respond

__all__ = ["Decoding", "model_settings", "respond"]
