"""The chart as Helm renders it. No cluster is needed."""
