"""The paper's printed numbers: read, checked against each other, turned into cells, compared with its text."""
