"""The texts of a study: where they come from, how their files are read, and which rows are asked about.

`fetch` brings a file, `read` makes checked annotation rows of it, `sample` draws the study's rows. What was wrong with
the data goes beside the texts as a frame of problems: no row disappears without a line in it.
"""

from falserefusal.texts.fetch import fetch, raw_path, record
from falserefusal.texts.problems import PROBLEMS, problem_frame, summary
from falserefusal.texts.read import read
from falserefusal.texts.sample import sample, shortfalls
from falserefusal.texts.sources import Source, resolve

__all__ = [
    "PROBLEMS",
    "Source",
    "fetch",
    "problem_frame",
    "raw_path",
    "read",
    "record",
    "resolve",
    "sample",
    "shortfalls",
    "summary",
]
