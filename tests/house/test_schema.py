"""The schema of the hosted components is a contract: other Pulumi languages generate from it.

`UPDATE_GOLDEN=1` rewrites components/schema.json; it travels with the change that caused it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from pulumi.provider.experimental.component import ComponentProvider

from loopback_iac.components import AnycastEdge, BareMetalHost

GOLDEN = Path(__file__).parents[2] / "components" / "schema.json"
PROVIDER = ComponentProvider([AnycastEdge, BareMetalHost], "loopback-iac", None, "0.1.0")


def test_schema_is_the_one_published():
    text = json.dumps(json.loads(PROVIDER.schema), indent=2, sort_keys=True) + "\n"
    if os.environ.get("UPDATE_GOLDEN") and not os.environ.get("CI"):
        GOLDEN.write_text(text)
    assert GOLDEN.read_text() == text


def test_every_property_is_described():
    tree = json.loads(GOLDEN.read_text())
    missing = [
        f"{token}.{name}"
        for token, kind in {**tree["types"], **tree["resources"]}.items()
        for group in ("properties", "inputProperties")
        for name, prop in kind.get(group, {}).items()
        if not prop.get("description")
    ]
    assert missing == []
