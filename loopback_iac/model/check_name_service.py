"""Checks on the name service of the PoPs: an address of its own, in prefixes of its own."""

from collections.abc import Iterator

from loopback_iac.model.check_space import holds
from loopback_iac.model.draft import Draft
from loopback_iac.model.problem import Problem, unknown_name


def check_name_service(draft: Draft) -> list[Problem]:
    """Findings on the name service and on PoPs that say what answers there."""
    if draft.settings is None:
        return []  # whether there is one is not known
    if draft.settings.name_service is None:
        return [
            Problem(
                f"pops.{name}.name_server",
                f"{pop.name_server} would have no zones",
                "name_service, which says where zones come from",
                "declare name_service, or remove name_server",
                "name-service-missing",
            )
            for name, pop in sorted(draft.pops.items())
            if pop.name_server is not None
        ]
    vip, known = draft.settings.name_service.vip, draft.named["vips"]
    if vip not in known:
        return [unknown_name("name_service.vip", "vips", vip, known, "name-service-vip-known")]
    return [*_shared(draft, vip), *_idle(draft, vip)]


def _prefixes(draft: Draft, vip: str) -> list[str]:
    """Names of prefixes with an address of the VIP in them."""
    addresses = draft.vips[vip].addresses if vip in draft.vips else ()
    return [
        n for n, p in sorted(draft.prefixes.items()) if any(holds([p.cidr], a) for a in addresses)
    ]


def _shared(draft: Draft, vip: str) -> Iterator[Problem]:
    """A prefix comes and goes as a whole: a dead name server must not take ingress with it."""
    ours = set(_prefixes(draft, vip))
    for name, service in sorted(draft.services.items()):
        if both := sorted(ours & set(_prefixes(draft, service.vip))):
            yield Problem(
                "name_service.vip",
                f"a dead name server would withdraw {', '.join(both)} from services.{name}",
                "prefixes without any service: one is announced or withdrawn as a whole",
                "give the name service a VIP in prefixes of its own",
                "name-service-shared-prefix",
            )


def _idle(draft: Draft, vip: str) -> Iterator[Problem]:
    prefixes = [draft.prefixes[name] for name in _prefixes(draft, vip)]
    for name, pop in sorted(draft.pops.items()):
        if pop.name_server is None or not prefixes:
            continue
        if not any(p.announced_at(name) or p.hosted_at(name) for p in prefixes):
            yield Problem(
                f"pops.{name}.name_server",
                f"no prefix of vips.{vip} is announced at {name}",
                "an origin of the prefix at this PoP",
                "list the PoP among the prefix's origins, or remove name_server",
                "name-server-unreached",
            )
