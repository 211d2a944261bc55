"""Who may do what with the resources and routes of every domain of the team."""

from tests.authorization.cases import (
    test_every_operation_answers_every_principal_as_the_table_says,
    test_every_route_is_in_the_table,
    test_no_client_sets_what_is_the_servers,
    test_only_the_scope_lets_in,
)

__all__ = [
    "test_every_operation_answers_every_principal_as_the_table_says",
    "test_every_route_is_in_the_table",
    "test_no_client_sets_what_is_the_servers",
    "test_only_the_scope_lets_in",
]
