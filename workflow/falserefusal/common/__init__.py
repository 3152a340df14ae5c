"""Ground floor: files and their shapes, errors, logs, what a script imports, the notice of a rehearsal."""
