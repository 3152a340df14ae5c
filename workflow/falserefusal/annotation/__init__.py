"""Annotation of a sample of responses by people: sample, web page, agreement, and corrected refusal rates."""
