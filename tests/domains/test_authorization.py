"""Who may do what with the resources and routes of every domain of the team."""

from tests.authorization.cases import (
    test_clients_cannot_set_server_fields,
    test_every_route_is_in_the_table,
    test_only_the_required_scope_grants_access,
    test_responses_match_the_authorization_table,
    test_visible_fields_exist_for_their_scope_alone,
)

__all__ = [
    "test_clients_cannot_set_server_fields",
    "test_every_route_is_in_the_table",
    "test_only_the_required_scope_grants_access",
    "test_responses_match_the_authorization_table",
    "test_visible_fields_exist_for_their_scope_alone",
]
