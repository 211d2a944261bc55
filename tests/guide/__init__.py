"""The guide of docs/resources.md: its code, and the service that it builds."""
