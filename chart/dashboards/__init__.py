"""Dashboards as code: one module for each dashboard. `make dashboards` writes each as JSON next to its module.

The chart carries the JSON. `python -m chart.dashboards --check` says which file is stale.
"""
