"""What the paper prints: read and checked, made into cells, and held against itself."""
