"""Dashboards, alerts and runbooks, and what a real Prometheus and a real Loki say to their queries."""
