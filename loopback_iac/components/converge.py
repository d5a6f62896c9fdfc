"""A host kept at what the fleet says: enrolled once, then applied and confirmed at every change.

Three Commands per host, in this order, each on an SSH connection of its own:

enroll   puts the agent there; WireGuard keys are born on the host, the public half comes back
apply    hands the bundle over stdin; the agent checks, swaps, proves, and waits to be confirmed
confirm  is the new connection that proves that nobody was locked out; only then may a PoP announce

There are no `triggers`: pulumi-command replaces on a changed trigger. The keyed digest of the
bundle and the instance id stand in the command text instead: any change is an in-place update, and
a replaced machine is converged again.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypedDict

import pulumi
from pulumi_command import remote

from loopback_iac import agent
from loopback_iac.components.baseline import keep_baseline, packages_kept
from loopback_iac.components.baseline_args import HostBaselineArgs
from loopback_iac.components.boundary import Sealed, refuse_as_pulumi
from loopback_iac.components.host_args import HostRef
from loopback_iac.components.hosts import (
    FRESH,
    STANDING,
    Patience,
    Through,
    canonical,
    connection,
    deploy_key,
    deploy_public_key,
    public_facts,
)
from loopback_iac.model import parse_host
from loopback_iac.render import HELD, HostFiles

CONFIRM_S = 30  # the agent rolls back by itself when no new connection confirms within this time
AGENT = "/usr/local/sbin/loopback-agent"
Values = pulumi.Output[Sealed[dict[str, str]]]


class Delivery(TypedDict):
    """What `converge` brings to a host."""

    files: pulumi.Output[HostFiles]
    """As deployed; secrets and keys as marks."""
    values: Sequence[Values]
    """What stands for each mark."""
    admin_sources: pulumi.Input[Sequence[str]]
    """Networks that must stay able to reach SSH."""
    drain_s: int
    """Seconds of graceful shutdown before a PoP that announces is touched."""


class Way(NamedTuple):
    """How a host is reached, and what has to stand before it can be."""

    through: Through | None = None
    after: Sequence[pulumi.Resource] = ()

    @property
    def patience(self) -> Patience:
        """A tunnel that a PoP was told of just now takes its time."""
        return FRESH if self.through else STANDING

    @property
    def left_behind(self) -> bool | None:
        """Never released: by then its PoP has forgotten it, and nothing leads there any more."""
        return True if self.through else None


DIRECT = Way()


class ConvergedHost(pulumi.ComponentResource):
    """A host with our agent on it."""

    kind: ClassVar[str]
    """What the host is in the fleet: `pop` or `worker`."""
    software: ClassVar[str] = ""
    """Whose packages it gets, where the role alone does not say it."""
    public_keys: pulumi.Output[Mapping[str, str]]
    """WireGuard public keys by key epoch; the private halves were born on the host."""
    digest: pulumi.Output[str]
    """Keyed digest of the bundle as applied."""
    facts: pulumi.Output[dict[str, Any]]
    """How to reach it, without the private key."""

    def __init__(
        self,
        name: str,
        host_name: str,
        host: pulumi.Input[HostRef],
        key_epochs: Sequence[int],
        opts: pulumi.ResourceOptions | None = None,
        *,
        way: Way = DIRECT,
        software: str = "",
        baseline: pulumi.Input[HostBaselineArgs] | None = None,
    ) -> None:
        """Declare the enrolment; `converge` declares the rest once every host's keys are known.

        In: software, whose packages it gets beside those of its role.
        """
        super().__init__(
            f"loopback-iac:index:{type(self).__name__}",
            name,
            {"host_name": host_name, "role": self.kind},
            opts,
        )
        self._name, self.host_name, self._host = name, host_name, host
        self._key_epochs, self.facts = sorted(key_epochs), public_facts(host)
        self._instance = self.facts.apply(_instance_id)
        roles = (self.software or self.kind, *filter(None, [software]))
        self.packages = packages_kept(baseline, *roles)
        self._way, self.baseline = way, baseline
        self._connection = connection(host_name, host, way.patience, way.through)
        self._enroll = self._declare_enroll(way.after)
        self.public_keys = self._enroll.stdout.apply(
            lambda out: {epoch: str(key) for epoch, key in json.loads(out)["wireguard"].items()}
        )

    def public_key(self, key_epoch: int) -> pulumi.Output[str]:
        """WireGuard public key of one epoch."""
        return self.public_keys.apply(lambda keys: keys[str(key_epoch)])

    def converge(self, delivery: Delivery, after: Sequence[pulumi.Resource]) -> remote.Command:
        """Declare apply and confirm; the confirm Command is what the next host waits for."""
        files, values, kept = _with_baseline(self, delivery)
        packed = pulumi.Output.all(
            key=deploy_key(self._host),
            files=files,
            values=values,
            sources=delivery["admin_sources"],
            facts=self.facts,
        ).apply(lambda got: _pack(self.host_name, self.kind, delivery, got))
        # keyed, because the bundle holds secrets and the digest is shown in plans
        self.digest = pulumi.Output.unsecret(packed.apply(lambda both: both.value[0]))
        stdin = packed.apply(lambda both: both.value[1])
        apply = self._declare_command(
            "apply",
            self._text("apply", self.digest),
            stdin=pulumi.Output.secret(stdin),
            delete=self._text("release", self.digest),
            after=[self._enroll, *after],
        )
        confirm = self._declare_command(
            "confirm", self._text("confirm", self.digest), after=[apply]
        )
        self.register_outputs(
            {
                "host_name": self.host_name,
                "role": self.kind,
                "digest": self.digest,
                "public_keys": self.public_keys,
                "files": files.apply(
                    lambda rendered: {path: f.text for path, f in rendered.files.items()}
                ),
                **kept,
            }
        )
        return confirm

    def programs(self) -> dict[str, bytes]:
        """What units of it start beside the agent, by name."""
        return {}

    def _declare_enroll(self, after: Sequence[pulumi.Resource]) -> remote.Command:
        request = {"host": self.host_name, "role": self.kind, "key_epochs": self._key_epochs}
        request |= _programs(self.programs())
        stdin = pulumi.Output.all(deploy_public_key(self._host), self.packages).apply(
            lambda got: canonical({**request, "deploy_key": got[0] or None, "packages": got[1]})
        )
        digest = stdin.apply(lambda text: hashlib.sha256(text.encode()).hexdigest())
        text = self._text("enroll", digest).apply(
            lambda words: f"python3 -I -c '{agent.BOOT}' {words.removeprefix(AGENT + ' ')}"
        )
        return self._declare_command("enroll", text, stdin=stdin, after=after)

    def _text(self, verb: str, digest: pulumi.Input[str]) -> pulumi.Output[str]:
        return pulumi.Output.all(instance=self._instance, digest=digest).apply(
            lambda got: (
                f"{AGENT} {verb} host={self.host_name} instance={got['instance']}"
                f" digest={got['digest']}"
            )
        )

    def _declare_command(
        self,
        role: str,
        text: pulumi.Output[str],
        *,
        stdin: pulumi.Input[str] | None = None,
        delete: pulumi.Output[str] | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> remote.Command:
        return remote.Command(
            f"{self._name}-{role}",
            connection=self._connection,
            create=text,
            update=text,
            delete=delete,
            stdin=stdin,
            logging=remote.Logging.NONE,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=list(after), retain_on_delete=self._way.left_behind
            ),
        )


def _programs(beside: Mapping[str, bytes]) -> dict[str, Any]:
    """What `enroll` puts on a host, whoever it is: the agent, and programs that units start."""
    program = agent.build()
    found: dict[str, Any] = {
        "format": 1,
        "agent": base64.b64encode(program).decode(),
        "agent_sha256": hashlib.sha256(program).hexdigest(),
        "debian": ["13"],
    }
    if beside:
        found["programs"] = {n: base64.b64encode(p).decode() for n, p in beside.items()}
    return found


def _with_baseline(
    host: ConvergedHost, delivery: Delivery
) -> tuple[pulumi.Output[HostFiles], list[Values], dict[str, Any]]:
    """Files, what stands for their marks, and facts for policies."""
    if host.baseline is None:
        return delivery["files"], [*delivery["values"]], {}
    kept = keep_baseline(host.baseline, delivery["files"], host.kind, host.host_name)
    facts: dict[str, Any] = {
        "baseline": kept.facts,
        "held": host.packages.apply(lambda names: sorted(HELD.intersection(names))),
        "place": host.facts.apply(lambda f: {k: f.get(k) for k in ("provider", "country")}),
    }
    return kept.files, [*delivery["values"], kept.values], facts


class EdgePop(ConvergedHost):
    """A point of presence: BIRD announces, HAProxy forwards, tunnels carry."""

    kind = "pop"


class Worker(ConvergedHost):
    """A machine behind the PoPs: tunnels to each of them, and a port that answers nobody else."""

    kind = "worker"


def seal(values: Mapping[str, pulumi.Input[str]]) -> Values:
    """What stands for marks, by their names, as a delivery takes it."""
    return pulumi.Output.all(**values).apply(lambda got: Sealed(dict(got)))


def describe_host(host: ConvergedHost) -> pulumi.Output[dict[str, Any]]:
    """One entry of an output `hosts`: how `loopback drift` finds the host, and what it expects."""
    return pulumi.Output.all(facts=host.facts, digest=host.digest).apply(
        lambda got: {
            "role": host.kind,
            "address": got["facts"].get("ipv4") or got["facts"].get("ipv6"),
            "ssh_port": int(got["facts"].get("ssh_port") or 22),
            "ssh_user": got["facts"].get("ssh_user") or "root",
            "host_key": got["facts"]["host_key"],
            "bastion": _described_bastion(host.host_name, got["facts"]),
            "digest": got["digest"],
        }
    )


def _described_bastion(name: str, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    bastion = refuse_as_pulumi(lambda: parse_host(name, facts)).bastion
    return bastion.model_dump(mode="json") if bastion else None


def _instance_id(facts: Mapping[str, Any]) -> str:
    given = facts.get("instance_id")
    return str(given) if given else hashlib.sha256(facts["host_key"].encode()).hexdigest()[:16]


def _pack(
    host_name: str, role: str, delivery: Delivery, got: Mapping[str, Any]
) -> Sealed[tuple[str, str]]:
    """Digest and text of the bundle: HMAC-SHA256 over all that is in it but the digest."""
    bundle = {
        "format": 1,
        "host": host_name,
        "role": role,
        "files": got["files"].as_json(),
        "secrets": {name: text for part in got["values"] for name, text in part.value.items()},
        "admin_sources": list(got["sources"]),
        "drain_s": delivery["drain_s"],
        "confirm_s": CONFIRM_S,
        "ssh_port": int(got["facts"].get("ssh_port") or 22),
    }
    key = hashlib.sha256(b"loopback-iac bundle digest\n" + got["key"].encode()).digest()
    digest = hmac.new(key, canonical(bundle).encode(), hashlib.sha256).hexdigest()
    return Sealed((digest, canonical({**bundle, "digest": digest})))
