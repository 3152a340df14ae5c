"""Statistical methods: intervals, clustered data, tests and sensitivity indices; independent of what a study is."""
