"""The classification tasks of the paper; a study may have others. Needs no library."""

PAPER_TASKS = {"nli": 3, "politeness": 2, "offensiveness": 2}  # and how many options their templates name
