"""CrossGuard policy packs: the real ones, run as pulumi runs them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from loopback_iac.engine.errors import EngineError, StepError, UsageError
from loopback_iac.engine.plugins import read_python
from loopback_iac.engine.policyconfig import PolicyConfig, parse_policy_config
from loopback_iac.engine.processes import GRPC_OPTIONS, Child, Command
from loopback_iac.engine.project import load_yaml
from loopback_iac.engine.results import Severity, Violation
from loopback_iac.engine.values import Values, mark_like, parse_struct, render_struct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from loopback_iac.engine.goal import Goal
    from loopback_iac.engine.run import Run
    from loopback_iac.engine.state import Resource

_LEVELS = analyzer_pb2.EnforcementLevel
_ADVISORY = "ADVISORY"


@dataclass(slots=True)
class Pack:
    """One running policy pack."""

    folder: Path
    name: str
    version: str
    child: Child
    channel: grpc.Channel

    def call(self, method: str, request: Any) -> Any:  # noqa: ANN401  # messages differ per method
        """
        Ask the pack.

        Raises: StepError when a policy breaks: a check that did not run has not passed.
        """
        stub = getattr(analyzer_pb2_grpc.AnalyzerStub(self.channel), method)
        try:
            return stub(request)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED and method == "Handshake":
                return None
            raise StepError(
                f"policy pack {self.name or self.folder}: {method} failed:"
                f" {error.details()}\n{self.child.tail()}".rstrip()
            ) from error


@dataclass(slots=True)
class Policies:
    """All packs of a run, asked in the order given: remediate first, then analyze."""

    run: Run
    packs: list[Pack] = field(default_factory=list)

    def start(self, folders: Sequence[Path], configs: Sequence[Path], address: str) -> None:
        """
        Start and configure the packs.

        In: configs: one file per pack, in the same order, or none.
        Raises: UsageError when a pack or a configuration is not usable.
        """
        if configs and len(configs) != len(folders):
            raise UsageError(
                f"--policy-pack-config: got {len(configs)}, need one per --policy-pack"
                f" ({len(folders)})"
            )
        for index, folder in enumerate(folders):
            pack = self._start_pack(folder.resolve(), address)
            self.packs.append(pack)
            text = configs[index].read_text(encoding="utf-8") if configs else "{}"
            self._configure(pack, text, str(configs[index]) if configs else "")

    def _start_pack(self, folder: Path, address: str) -> Pack:
        manifest = folder / "PulumiPolicy.yaml"
        if not manifest.is_file():
            raise UsageError(f"--policy-pack: no PulumiPolicy.yaml in {folder}")
        python = read_python(manifest, self.run.project.python)
        program = str(load_yaml(manifest).get("main") or ".")
        config = self.run.config
        environment = {
            "PULUMI_PROJECT": self.run.project.name,
            "PULUMI_STACK": self.run.stack,
            "PULUMI_ORGANIZATION": "organization",
            "PULUMI_DRY_RUN": "true" if self.run.dry_run else "false",
            "PULUMI_CONFIG": json.dumps(config.values),
        }
        command = Command(python, "module", "pulumi.policy", (address, program))
        child = Child(command, folder, environment)
        port = child.read_port(f"policy pack {folder}")
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=GRPC_OPTIONS)
        version = str(load_yaml(manifest).get("version") or "0.0.1")
        return Pack(folder, "", version, child, channel)

    def _configure(self, pack: Pack, text: str, place: str) -> None:
        run = self.run
        pack.call("Handshake", analyzer_pb2.AnalyzerHandshakeRequest(engine_address=""))
        pack.call(
            "ConfigureStack",
            analyzer_pb2.AnalyzerStackConfigureRequest(
                stack=run.stack,
                project=run.project.name,
                organization="organization",
                dry_run=run.dry_run,
                config=run.config.values,
                config_secret_keys=sorted(run.config.secret_keys),
            ),
        )
        pack.call("GetPluginInfo", empty_pb2.Empty())
        known = pack.call("GetAnalyzerInfo", empty_pb2.Empty())
        pack.name = known.name
        configs = parse_policy_config(text, place, _read_policies(known), _read_initial(known))
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for name, config in configs.items():
            # Always with its level: a missing one reads as 0, which is advisory.
            request.policyConfig[name].enforcementLevel = _LEVELS.Value(config.level)
            request.policyConfig[name].properties.update(config.properties)
        pack.call("Configure", request)

    def review(self, new: Resource, goal: Goal, provider_urn: str) -> Values:
        """
        Remediate and analyze the inputs of one resource.

        In: new: the resource with its checked inputs; provider_urn: "" for what has none.
        Out: its inputs, remediated.
        Raises: StepError in an up when a mandatory policy does not hold.
        """
        inputs = new.inputs
        for pack in self.packs:
            inputs = self._remediate(pack, new, goal, inputs, provider_urn)
        broken = []
        for pack in self.packs:
            request = self._request(new, goal, inputs, provider_urn, secrets=False)
            broken += self._report(pack, pack.call("Analyze", request).diagnostics, new.urn)
        if broken and not self.run.dry_run:
            raise StepError(f"refused by policy: {', '.join(sorted(set(broken)))}")
        return inputs

    def _remediate(
        self, pack: Pack, new: Resource, goal: Goal, inputs: Values, provider_urn: str
    ) -> Values:
        request = self._request(new, goal, inputs, provider_urn, secrets=True)
        for done in pack.call("Remediate", request).remediations:
            if done.diagnostic:
                self.run.report_violation(
                    Violation(done.policyName, pack.name, "advisory", done.diagnostic, new.urn)
                )
                continue
            # A policy that returns a plain dict loses the secret marks; they are put back.
            inputs = mark_like(parse_struct(done.properties), inputs)
            self.run.say(Severity.INFO, f"remediated by {pack.name} - {done.policyName}", new.urn)
        return inputs

    def _request(
        self, new: Resource, goal: Goal, inputs: Values, provider_urn: str, *, secrets: bool
    ) -> analyzer_pb2.AnalyzeRequest:
        options = analyzer_pb2.AnalyzerResourceOptions(
            protect=new.protect,
            ignoreChanges=goal.ignore_changes,
            deleteBeforeReplace=bool(goal.delete_before_replace),
            deleteBeforeReplaceDefined=goal.delete_before_replace is not None,
            additionalSecretOutputs=goal.additional_secret_outputs,
            aliases=goal.former,
            customTimeouts=analyzer_pb2.AnalyzerResourceOptions.CustomTimeouts(**goal.timeouts_s),
            parent=new.parent,
        )
        return analyzer_pb2.AnalyzeRequest(
            type=new.type,
            properties=render_struct(inputs, secrets=secrets),
            urn=new.urn,
            name=new.name,
            options=options,
            provider=self._provider(provider_urn),
        )

    def _provider(self, urn: str) -> analyzer_pb2.AnalyzerProviderResource | None:
        provider = self.run.news.get(urn)
        if provider is None:
            return None
        return analyzer_pb2.AnalyzerProviderResource(
            type=provider.type,
            properties=render_struct(provider.inputs, secrets=False),
            urn=urn,
            name=provider.name,
        )

    def review_stack(self) -> None:
        """Analyze the outputs of all resources together, after every step."""
        if not self.packs:
            return
        request = analyzer_pb2.AnalyzeStackRequest()
        for new in self.run.news.values():
            dependencies = {
                key: analyzer_pb2.AnalyzerPropertyDependencies(urns=urns)
                for key, urns in new.property_dependencies.items()
            }
            request.resources.add(
                type=new.type,
                properties=render_struct(new.outputs, secrets=False),
                urn=new.urn,
                name=new.name,
                options=analyzer_pb2.AnalyzerResourceOptions(
                    protect=new.protect, parent=new.parent, ignoreChanges=new.ignore_changes
                ),
                provider=self._provider(new.provider_urn),
                parent=new.parent,
                dependencies=new.dependencies,
                propertyDependencies=dependencies,
            )
        for pack in self.packs:
            self._report(pack, pack.call("AnalyzeStack", request).diagnostics, "")

    def _report(
        self, pack: Pack, diagnostics: Sequence[analyzer_pb2.AnalyzeDiagnostic], urn: str
    ) -> list[str]:
        """Note every violation; out: the policies whose violation is mandatory."""
        mandatory = []
        for item in diagnostics:
            level = _LEVELS.Name(item.enforcementLevel)
            if level != _ADVISORY:
                self.run.failed = self.run.ending = True
                mandatory.append(item.policyName)
            label = f"{pack.name}@v{pack.version}"
            self.run.report_violation(
                Violation(item.policyName, label, level.lower(), item.message, item.urn or urn)
            )
        return mandatory

    def close(self) -> None:
        """End every pack."""
        for pack in self.packs:
            pack.channel.close()
            pack.child.end()


def _read_policies(known: analyzer_pb2.AnalyzerInfo) -> dict[str, tuple[str, dict[str, Any]]]:
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for policy in known.policies:
        schema = {
            "properties": MessageToDict(policy.configSchema.properties),
            "required": list(policy.configSchema.required),
        }
        found[policy.name] = (_LEVELS.Name(policy.enforcementLevel), schema)
    if not found:
        raise EngineError(f"policy pack {known.name}: it has no policies")
    return found


def _read_initial(known: analyzer_pb2.AnalyzerInfo) -> dict[str, PolicyConfig]:
    """
    What the pack itself configures.

    On the wire "no level given" and "advisory" are both 0; reading it as advisory would weaken a
    mandatory policy that merely has initial properties, so 0 leaves the policy its own level.
    """
    return {
        name: PolicyConfig(
            _LEVELS.Name(config.enforcementLevel) if config.enforcementLevel else "",
            MessageToDict(config.properties),
        )
        for name, config in known.initialConfig.items()
    }
