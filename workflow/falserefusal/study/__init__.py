"""A study's config: read, held against the files it names, and sized; all before the first job."""
