"""Tests of dashboards, alerts and runbooks, with a real Prometheus and a real Loki."""
