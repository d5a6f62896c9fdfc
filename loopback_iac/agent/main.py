"""Words to verbs. Every verb loads only what it needs: most of a short verb's time is its start."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

from .refusal import DONE, REFUSED, USAGE, RefusedError, render_refusal

_USAGE = """usage: loopback-agent VERB [WORDS]
  enroll host=H instance=I digest=D    make this host ready (JSON request on stdin)
  apply host=H instance=I digest=D     bring it to a bundle (JSON on stdin), unconfirmed
  confirm host=H instance=I digest=D   keep the applied digest; over a new connection
  release host=H digest=D              take everything of ours off, unless a newer digest is active
  rollback                             take an unconfirmed digest back now
  drain [SECONDS] | undrain            take this host out of traffic and back
  blackhole add|remove ADDRESS         give one own address up, so that the rest serves on
  update [SECONDS]                     update held packages, out of traffic meanwhile
  hand-over MEMBER                     on an arbiter: give the addresses to this member
  hand-over GROUP NODE                 on an egress gateway: give the group's to this node
  back-up                              zones and keys to the declared targets, encrypted
  backup-keys | restore-keys           of zones: certificate, or decrypted backup, on stdin
  report                               what is active, what is wrong (JSON)
  routes | watch | metrics | count-names | arbitrate | hold | gateway | heal | recover | converge
  settle-keys | updating | ssh         called by the system
"""


_SECONDS = re.compile(r"[0-9]{1,4}(\.[0-9]+)?")


def main(argv: list[str]) -> int:
    """Run one verb.

    In:  words without the program's name.
    Out: exit code: 0 done, 1 refused or failed, 2 usage.
    """
    os.umask(0o022)
    verb = argv[0] if argv else ""
    try:
        if verb == "ssh":
            from .forced import parse_forced

            argv = parse_forced(os.environ.get("SSH_ORIGINAL_COMMAND", ""))
            verb = argv[0]
            if verb == "enroll":
                return _enroll_sent(argv)
        if verb not in _VERBS:
            sys.stderr.write(_USAGE)
            return USAGE
        result = _VERBS[verb](_parse_words(argv[1:]))
    except RefusedError as refused:
        from .state import standing

        sys.stderr.write(render_refusal(verb, refused, standing()))
        return refused.code
    except Exception as broken:  # noqa: BLE001 -- a bug too has to say how the host stands
        import traceback

        from .state import standing

        traceback.print_exc()
        told = RefusedError(f"{type(broken).__name__}: {broken}", host=standing())
        sys.stderr.write(render_refusal(verb, told, ""))
        return REFUSED
    if result is not None:
        sys.stdout.write(json.dumps(result, sort_keys=True) + "\n")
    return DONE


Words = dict[str, str]


def _parse_words(words: list[str]) -> Words:
    parsed: Words = {}
    for word in words:
        name, equals, value = word.partition("=")
        bare = "object" if "word" in parsed else "word"
        parsed[name if equals else bare] = value if equals else word
    return parsed


def _need(words: Words, *names: str) -> list[str]:
    missing = [name for name in names if name not in words]
    if missing:
        raise RefusedError(f"missing {' and '.join(f'{name}=' for name in missing)}", code=USAGE)
    return [words[name] for name in names]


def _parse_seconds(words: Words) -> float | None:
    text = words.get("word")
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        raise RefusedError(f"{text!r} is no number of seconds", code=USAGE, host="unchanged")
    return float(text)


def _check_host(words: Words) -> None:
    from .state import read_enrolled

    host, role = read_enrolled()
    if words.get("host", host) != host:
        raise RefusedError(
            f"the command is for {words['host']!r}; this host is enrolled as {role} {host!r}"
        )


def _enroll_sent(argv: list[str]) -> int:
    """Run the agent that came in the request, as the bootstrap would."""
    from .packing import exec_sent

    return exec_sent(sys.stdin.buffer.read(), argv)


def _enroll(words: Words) -> dict[str, Any]:
    from .enroll import enroll

    _need(words, "host", "digest")
    with open(sys.argv[0], "rb") as stream:
        agent = stream.read()
    return enroll(sys.stdin.buffer.read(), agent)


def _apply(words: Words) -> dict[str, Any]:
    from .apply import apply
    from .state import DIGEST

    _check_host(words)
    (digest,) = _need(words, "digest")
    if not DIGEST.fullmatch(digest):
        raise RefusedError(f"{digest!r} is no digest", code=USAGE)
    return apply(digest, sys.stdin.buffer.read())


def _converge(words: Words) -> None:
    from .apply import run_converge

    run_converge(*_need(words, "digest"))


def _confirm(words: Words) -> dict[str, Any]:
    from .confirm import confirm

    _check_host(words)
    return confirm(*_need(words, "digest"))


def _release(words: Words) -> dict[str, Any]:
    from .confirm import release

    _check_host(words)
    return release(*_need(words, "digest"))


def _rollback(_: Words) -> dict[str, Any]:
    from .confirm import rollback

    return rollback()


def _recover(words: Words) -> None:
    import contextlib

    from .packages import restore_policy
    from .recover import recover_locked
    from .state import alone, alone_with_packages

    with alone(wait=True):
        told = recover_locked(live=words.get("word") != "boot")
    # whoever installs packages at this moment needs the policy, and takes it away itself
    with contextlib.suppress(RefusedError), alone_with_packages(wait=False):
        restore_policy()
    if told:
        sys.stderr.write(f"loopback-agent recover: {told}\n")


def _drain(words: Words) -> dict[str, Any]:
    from .drain import OPERATOR, drain

    was_announcing = drain(OPERATOR, _parse_seconds(words))
    return {"format": 1, "drained": True, "was_announcing": was_announcing}


def _undrain(_: Words) -> dict[str, Any]:
    import contextlib

    from .drain import OPERATOR, UPDATE, let_in, wait_announcing, want_undrained
    from .state import alone, read_state
    from .watchfile import read_watch

    want_undrained(OPERATOR)
    let_in()
    with contextlib.suppress(RefusedError), alone():  # an update that runs ends its own window
        want_undrained(UPDATE)
    state = read_state()
    waits = state["drain"]["apply"] or state["drain"]["update"]
    if state["active"] and not state["pending"] and not waits:
        wait_announcing(read_watch())
    return {"format": 1, "drained": False}


def _blackhole(words: Words) -> dict[str, Any]:
    from .blackhole import add_hole, remove_hole

    act = {"add": add_hole, "remove": remove_hole}.get(words.get("word", ""))
    if act is None or "object" not in words:
        raise RefusedError(
            "blackhole add ADDRESS, or blackhole remove ADDRESS", code=USAGE, host="unchanged"
        )
    return act(words["object"])


def _update(words: Words) -> dict[str, Any]:
    from .update import update

    return update(_parse_seconds(words))


def _updating(words: Words) -> None:
    from .update import run_update

    run_update(_parse_seconds(words))


def _routes(_: Words) -> None:
    from .routes import read_routes, set_routes

    for line in set_routes(read_routes()):
        sys.stderr.write(f"ip {line}\n")


def _watch(_: Words) -> None:
    from .watch import watch

    watch()


def _metrics(_: Words) -> None:
    from .metrics import metrics

    metrics()


def _count_names(words: Words) -> None:
    from .namestats import COMMANDS, count_for_ever

    if words.get("word") not in COMMANDS:
        raise RefusedError(f"count-names {'|'.join(COMMANDS)}", code=USAGE, host="unchanged")
    count_for_ever(words["word"])


def _arbitrate(_: Words) -> None:
    from .arbiter import arbitrate

    arbitrate()


def _hold(_: Words) -> None:
    from .hold import hold

    hold()


def _gateway(_: Words) -> None:
    from .gateway import gateway

    gateway()


def _hand_over(words: Words) -> dict[str, Any]:
    if "object" in words:
        from .gatewaystatus import hand_over_group

        return hand_over_group(words["word"], words["object"])
    from .handover import hand_over

    if "word" not in words:
        raise RefusedError("hand-over MEMBER", code=USAGE, host="unchanged")
    return hand_over(words["word"])


def _backup_keys(_: Words) -> None:
    from .state import alone
    from .zonekeys import backup_keys

    with alone():
        backup_keys(sys.stdin.buffer.read())


def _back_up(_: Words) -> dict[str, Any]:
    from .backup import back_up

    return back_up()


def _restore_keys(_: Words) -> dict[str, Any]:
    from .state import alone
    from .zonekeys import restore_keys

    with alone():
        return restore_keys(sys.stdin.buffer.read())


def _settle_keys(words: Words) -> None:
    from .settle import parse_wait, settle_keys

    settle_keys(parse_wait(words.get("word", "")))


def _heal(_: Words) -> None:
    from .heal import heal

    heal()


def _report(_: Words) -> dict[str, Any]:
    from .report import report

    return report()


_VERBS = {
    "enroll": _enroll,
    "apply": _apply,
    "converge": _converge,
    "confirm": _confirm,
    "release": _release,
    "rollback": _rollback,
    "recover": _recover,
    "drain": _drain,
    "undrain": _undrain,
    "blackhole": _blackhole,
    "update": _update,
    "updating": _updating,
    "routes": _routes,
    "watch": _watch,
    "metrics": _metrics,
    "count-names": _count_names,
    "arbitrate": _arbitrate,
    "hold": _hold,
    "gateway": _gateway,
    "hand-over": _hand_over,
    "back-up": _back_up,
    "backup-keys": _backup_keys,
    "restore-keys": _restore_keys,
    "settle-keys": _settle_keys,
    "heal": _heal,
    "report": _report,
}
