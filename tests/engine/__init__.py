"""The resource engine as a whole: what reaches the server, plans, parallel clients, export and import, hooks."""
