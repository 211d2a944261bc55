"""Tilt's functions that the Tiltfile may call, with their arguments in order.

Source: the API reference at docs.tilt.dev, and the functions that unpack arguments in Tilt's internal/tiltfile, version
0.37. What is different here:

- Functions record their call and do nothing. No image is built, no file watched, no object applied.
- `helm` runs `helm template` with the arguments that Tilt gives it, leaves out what Tilt leaves out, and sets the
  namespace as Tilt does. Tilt then writes the objects again, sorted; here they stay as Helm wrote them.
- Relative paths are relative to the repository, as in Tilt; whether a path exists is for the tests to check.
- Tilt checks the names in `k8s_resource` and `resource_deps` once the Tiltfile has run; so do the tests.
- The interpreter is starlark-rust, Tilt's is starlark-go. F-strings, which only the former has, are off.
"""

from dataclasses import dataclass
from typing import Any

# TriggerMode and LiveUpdateStep are types of Tilt's own; here a text and a dictionary.
TEXT = (str,)
TEXTS = (str, list)
FLAG = (bool,)
STEPS = (list,)


@dataclass(frozen=True)
class Function:
    """The arguments of a function, in order, with the types of their values. The first ones may be required."""

    arguments: dict[str, tuple[type, ...]]
    required: int

    def bind(self, name: str, positional: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call by name. Raises AssertionError where Tilt raises an error."""
        order = list(self.arguments)
        assert len(positional) <= len(order), f"{name}: more than {len(order)} arguments"
        given = dict(zip(order, positional, strict=False))
        assert not given.keys() & named, f"{name}: an argument is given twice"
        unknown = named.keys() - self.arguments.keys()
        assert not unknown, f"{name} has no argument {', '.join(sorted(unknown))}"
        given |= named
        missing = [argument for argument in order[: self.required] if argument not in given]
        assert not missing, f"{name} needs {', '.join(missing)}"
        for argument, value in given.items():
            assert isinstance(value, self.arguments[argument]), f"{name}: wrong type of {argument}: {value!r}"
        return given


LINKS = (str, list, dict)
FUNCTIONS = {
    "custom_build": Function(
        {
            "ref": TEXT,
            "command": TEXTS,
            "deps": (list,),
            "tag": TEXT,
            "disable_push": FLAG,
            "skips_local_docker": FLAG,
            "live_update": STEPS,
            "match_in_env_vars": FLAG,
            "ignore": TEXTS,
            "entrypoint": TEXTS,
            "command_bat_val": TEXT,
            "outputs_image_ref_to": TEXT,
            "command_bat": TEXTS,
            "image_deps": (list,),
            "env": (dict,),
            "dir": TEXT,
        },
        required=3,
    ),
    "fall_back_on": Function({"files": TEXTS}, required=1),
    "sync": Function({"local_path": TEXT, "remote_path": TEXT}, required=2),
    "k8s_yaml": Function({"yaml": TEXTS, "allow_duplicates": FLAG}, required=1),
    "k8s_resource": Function(
        {
            "workload": TEXT,
            "new_name": TEXT,
            "port_forwards": (str, int, list),
            "extra_pod_selectors": (dict, list),
            "trigger_mode": TEXT,
            "resource_deps": (list,),
            "objects": (list,),
            "auto_init": FLAG,
            "pod_readiness": TEXT,
            "links": LINKS,
            "labels": TEXTS,
            "discovery_strategy": TEXT,
        },
        required=0,
    ),
    "local_resource": Function(
        {
            "name": TEXT,
            "cmd": TEXTS,
            "deps": TEXTS,
            "trigger_mode": TEXT,
            "resource_deps": (list,),
            "ignore": TEXTS,
            "auto_init": FLAG,
            "serve_cmd": TEXTS,
            "cmd_bat": TEXTS,
            "serve_cmd_bat": TEXTS,
            "allow_parallel": FLAG,
            "links": LINKS,
            "labels": TEXTS,
            "env": (dict,),
            "serve_env": (dict,),
            "readiness_probe": (dict,),
            "dir": TEXT,
            "serve_dir": TEXT,
        },
        required=1,
    ),
    "link": Function({"url": TEXT, "name": TEXT}, required=1),
}
# The reference calls the first one `pathToChartDir`, the source `paths`: only its position is sure.
HELM = Function(
    {
        "paths": TEXT,
        "name": TEXT,
        "namespace": TEXT,
        "values": TEXTS,
        "set": TEXTS,
        "kube_version": TEXT,
        "skip_crds": FLAG,
    },
    required=1,
)
