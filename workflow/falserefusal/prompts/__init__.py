"""Render a design as the chat messages that are sent to a model."""
