"""Put a study's tables, figures and provenance on one self-contained page."""
