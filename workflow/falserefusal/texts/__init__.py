"""The texts of a study: where they come from, how their files are read, and which rows are used.

`sources` says where a task's file is, `fetch` downloads it, `read` turns it into checked rows, and `sample` draws the
study's rows. Problems in the data are written next to the texts: no row is dropped without a line about it.
"""
