"""Draw the figures of a study from its tables: layout only, every number comes from a table.

`registry` lists the figures (cheap to import), `draw` writes them, each other module draws figures of one kind.
"""
