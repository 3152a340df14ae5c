"""Responses that were made elsewhere, brought into the workflow; and its prompts, written for other programs."""
