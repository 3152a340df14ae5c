"""Put a study's tables, figures and provenance on one page that needs no network, no script and no other file."""
