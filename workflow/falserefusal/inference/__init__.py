"""Inference: generate one model's responses to all prompts, each once, and store them."""

from falserefusal.inference.decoding import Decoding
from falserefusal.inference.respond import EarlyDecision, model_settings, respond

__all__ = ["Decoding", "EarlyDecision", "model_settings", "respond"]
