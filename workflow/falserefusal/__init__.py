"""Measure false refusal in chat models under sociodemographic personas (Plaza-del-Arco et al. 2025).

The library behind the workflow: plain functions on data frames, no Snakemake in it. A stage of the
study is a sub-package; the stages share only `schemas`, `tables`, `materials` and `logs`.
"""
