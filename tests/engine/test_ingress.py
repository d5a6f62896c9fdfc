"""What edge and primary say is refused in a plan, in its words and without a key in them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from loopback_iac.engine import Options, plan
from loopback_iac.engine.passphrase import Crypter

DOOR = Path(__file__).parents[2] / "components"
SHORT = "hunter2"


def planned(folder, monkeypatch, name, change, *, opened):
    """Plan of a component's example, changed, with its secrets or without."""
    text = (DOOR / name / "python/__main__.py").read_text()
    assert change[0] in text
    (folder / "__main__.py").write_text(text.replace(*change))
    (folder / "Pulumi.yaml").write_text("name: changed\nruntime: python\n")
    crypter = Crypter.create("of this test")
    config = {
        f"changed:{title}": {"secure": crypter.encrypt(value)}
        for title, value in {"kubeconfig": "{}", "updateKey": SHORT}.items()
    }
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump({"encryptionsalt": crypter.salt, "config": config}))
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    if opened:
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of this test")
    else:
        monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    return plan(Options(directory=folder, stack="dev", state_dir=folder, config_file=file))


def refused(result):
    said = "\n".join(each.message for each in result.diagnostics)
    assert not result.ok
    assert "Traceback" not in said
    assert SHORT not in said
    return said


@pytest.mark.parametrize(
    ("name", "change", "rule"),
    [
        ("IngressController", ('["10.88.8.2", "10.88.16.2"]', '["0.0.0.0/0"]'), "trust-wider-than"),
        ("CertificateIssuer", ('"port": 80,', '"port": 81,'), "http01-port-80"),
        ("CertificateIssuer", ('"zones": ["acme.', '"zones": ["x.'), "challenge-zone-updated"),
    ],
)
def test_late_words_are_refused_in_a_plan_that_knows_no_secret(
    tmp_path, monkeypatch, name, change, rule
):
    result = planned(tmp_path, monkeypatch, name, change, opened=False)
    assert f"rule: {rule}" in refused(result)


def test_a_key_that_is_none_is_refused_without_showing_it(tmp_path, monkeypatch):
    change = ("ops@", "dev@")
    result = planned(tmp_path, monkeypatch, "CertificateIssuer", change, opened=True)
    assert "rule: tsig-secret" in refused(result)
