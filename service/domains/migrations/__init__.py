"""The team's branch of migrations, one line for all domains. It runs after the chassis' own."""
