"""Who may do what, derived from the declarations of domains. tests/security checks the shop by it, tests/domains every
domain of the team."""
