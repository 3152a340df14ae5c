"""Draw a study's figures from its tables: layout only, every number comes from a table.

`registry` names the figures (cheap to import), `draw` writes them, the other modules draw one idea each.
"""
