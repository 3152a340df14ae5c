"""Shared ground floor: files and schemas, errors, logs, checksums, versions, the notice of a rehearsal."""
