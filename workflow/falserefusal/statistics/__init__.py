"""Ground floor: intervals, clusters, tests and sensitivity indices; knows nothing of studies."""
