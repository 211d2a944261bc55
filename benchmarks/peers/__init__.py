"""The service written in other ways that a team might choose, each as its documentation suggests."""
