"""plan, up, destroy: what the command line and tests call."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pulumi.runtime.proto import resource_pb2_grpc

from loopback_iac.engine.deletes import Deleter
from loopback_iac.engine.errors import EngineError, StateError, UsageError
from loopback_iac.engine.journal import Ledger
from loopback_iac.engine.monitor import Gate, Monitor, serve
from loopback_iac.engine.passphrase import Crypter
from loopback_iac.engine.perform import Performer
from loopback_iac.engine.policy import Policies
from loopback_iac.engine.program import Program
from loopback_iac.engine.project import Project, parse_project
from loopback_iac.engine.registry import Providers
from loopback_iac.engine.results import Result, Severity, Watcher
from loopback_iac.engine.run import Old, Run
from loopback_iac.engine.stackconfig import (
    load_stack_file,
    parse_stack_config,
    read_passphrase,
)
from loopback_iac.engine.state import Codec
from loopback_iac.engine.steps import Registrar
from loopback_iac.engine.store import Checkpoint, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from loopback_iac.engine.values import Values

DEFAULT_STACK = "dev"
DEFAULT_PARALLEL = 16


@dataclass(frozen=True, slots=True)
class Options:
    """
    What to run and with what.

    `passphrase` None: taken from the environment. `state_dir` None: `.loopback` beside Pulumi.yaml.
    """

    directory: Path = Path()
    stack: str = DEFAULT_STACK
    state_dir: Path | None = None
    config_file: Path | None = None
    policy_packs: tuple[Path, ...] = ()
    policy_configs: tuple[Path, ...] = ()
    parallel: int = DEFAULT_PARALLEL
    passphrase: str | None = None
    watcher: Watcher | None = None


def plan(options: Options) -> Result:
    """
    Say what `up` would do; nothing is changed and nothing written.

    Raises: EngineError when project, config, state or policy pack cannot be used.
    """
    return _Session(options, "plan").deploy()


def up(options: Options) -> Result:
    """
    Bring the stack to what the program wants.

    Raises: EngineError when nothing was begun; a failure later on is in the result.
    """
    return _Session(options, "up").deploy()


def destroy(options: Options) -> Result:
    """
    Delete everything the stack has. The program is not run.

    Raises: EngineError when nothing was begun.
    """
    return _Session(options, "destroy").destroy()


def find_store(options: Options) -> Store:
    """Where the state of the stack lies."""
    return _find_store(options, parse_project(options.directory))


def _find_store(options: Options, project: Project) -> Store:
    if options.state_dir is not None:
        return Store(options.state_dir.resolve())
    return Store(project.root / ".loopback" / project.name / options.stack)


class _Session:
    """One run, from reading the project to the saved checkpoint."""

    def __init__(self, options: Options, verb: str) -> None:
        self._options, self._verb = options, verb
        self._began = time.monotonic()
        self._dry_run = verb == "plan"
        self._project = parse_project(options.directory)
        self._store = _find_store(options, self._project)
        passphrase = options.passphrase
        self._passphrase = read_passphrase() if passphrase is None else passphrase

    def deploy(self) -> Result:
        with ExitStack() as stack:
            run, ledger, salt = self._open(stack)
            self._refuse_pending(ledger, run)
            server, address = serve(run)
            policies = Policies(run)
            providers = Providers(run, policies, address)
            stack.callback(providers.close)
            stack.callback(policies.close)
            gate = Gate()
            performer = Performer(run, providers)
            registrar = Registrar(run, providers, policies, performer)
            resource_pb2_grpc.add_ResourceMonitorServicer_to_server(
                Monitor(run, registrar, providers, gate), server
            )
            server.start()
            stack.callback(lambda: server.stop(None).wait())
            options = self._options
            policies.start(options.policy_packs, options.policy_configs, address)
            with self._journaled(run, ledger, salt), _interruptible(run, providers):
                self._run_program(run, Program(run, address, gate), registrar, providers)
            return self._result(run)

    def destroy(self) -> Result:
        with ExitStack() as stack:
            run, ledger, salt = self._open(stack)
            self._warn_pending(ledger, run)
            server, address = serve(run)
            server.start()
            stack.callback(lambda: server.stop(None).wait())
            providers = Providers(run, Policies(run), address)
            stack.callback(providers.close)
            with self._journaled(run, ledger, salt), _interruptible(run, providers):
                Deleter(run, providers).delete_leftovers()
                _say_cancelled(run, self._verb)
            return self._result(run)

    def _run_program(
        self, run: Run, program: Program, registrar: Registrar, providers: Providers
    ) -> None:
        try:
            arrived = program.wait()
            if run.cancelled or (run.failed and not run.dry_run):
                run.wait_idle()
            if arrived and not run.cancelled and (run.dry_run or not run.failed):
                self._finish_run(run, registrar, providers)
            if arrived and not run.failed and not run.cancelled and not program.finish():
                run.fail(program.explain())
            if not arrived and not run.failed and not run.cancelled:
                run.fail(program.explain())
        finally:
            program.end()
            run.wait_idle()
        if program.output():
            run.say(Severity.INFO, f"the program printed:\n{program.output()}")
        _say_cancelled(run, self._verb)

    def _finish_run(self, run: Run, registrar: Registrar, providers: Providers) -> None:
        """The program has said all: delete the rest, settle outputs, ask stack policies."""
        Deleter(run, providers).delete_leftovers()
        if run.stack_outputs is not None and not run.failed:
            urn, outputs = run.stack_outputs
            registrar.performer.settle_outputs(run.news[urn], outputs)
        if not run.cancelled and not any(
            item.severity is Severity.ERROR for item in run.diagnostics
        ):
            try:
                registrar.policies.review_stack()
            except EngineError as error:
                run.fail(str(error))

    # --- opening and closing ----------------------------------------------------------------------

    def _open(self, stack: ExitStack) -> tuple[Run, Ledger, str]:
        options = self._options
        if not self._dry_run:
            note = stack.enter_context(self._store.locked(self._verb))
        checkpoint = self._store.load()
        _check_owner(checkpoint, self._project.name, options.stack)
        raw = load_stack_file(self._project, options.stack, options.config_file)
        config_salt = str(raw.get("encryptionsalt") or "")
        crypter = self._open_crypter(config_salt)
        salt = checkpoint.salt or config_salt
        state_crypter = crypter if salt == config_salt else self._open_crypter(salt)
        if not self._dry_run and state_crypter is None:
            if not self._passphrase:
                raise UsageError(
                    "passphrase must be set with PULUMI_CONFIG_PASSPHRASE or"
                    " PULUMI_CONFIG_PASSPHRASE_FILE; it encrypts the secrets of the state"
                )
            state_crypter = Crypter.create(self._passphrase)
            salt = state_crypter.salt
        config = parse_stack_config(raw, self._project, crypter)
        if config.missing and not self._dry_run and self._verb != "destroy":
            raise UsageError(
                f"secure config values cannot be read: {', '.join(sorted(config.missing))};"
                " the stack file has no encryptionsalt"
            )
        codec = Codec(state_crypter)
        olds = [Old(at, row, codec.decode(row)) for at, row in enumerate(checkpoint.rows)]
        run = Run(
            project=self._project,
            stack=options.stack,
            dry_run=self._dry_run,
            config=config,
            codec=codec,
            parallel=options.parallel,
            watcher=options.watcher,
            olds=olds,
        )
        if not self._dry_run and note:
            run.say(Severity.WARNING, f"stale lock: {note}")
        if self._store.has_leftover():
            run.say(Severity.WARNING, "the last run was killed; its journal has been replayed")
            if not self._dry_run:
                self._store.save(checkpoint)
        _force_interrupted(run, checkpoint)
        return run, Ledger(checkpoint.rows, checkpoint.pending), salt

    def _open_crypter(self, salt: str) -> Crypter | None:
        if not salt or self._passphrase is None:
            return None
        return Crypter.open(salt, self._passphrase)

    @contextmanager
    def _journaled(self, run: Run, ledger: Ledger, salt: str) -> Iterator[None]:
        """Give the run its journal; whatever happens, end with a checkpoint of what is known."""
        if run.dry_run:
            yield
            return
        journal = self._store.start_journal(ledger, salt)
        run.journal = journal
        try:
            yield
        finally:
            run.journal = None
            pending = ledger.pending()
            self._store.save(Checkpoint(ledger.rows(), pending, salt), journal)

    def _refuse_pending(self, ledger: Ledger, run: Run) -> None:
        creating = [row for row in ledger.pending() if row["type"] == "creating"]
        if not creating:
            return
        names = "\n".join(f"  {row['resource']['urn']}" for row in creating)
        text = (
            "an earlier run ended while these were being created, and nobody saw the outcome:\n"
            f"{names}\nlook whether they exist, delete them there if so, then run"
            " `loopback state forget URN` for each"
        )
        if run.dry_run:
            run.say(Severity.WARNING, text)
        else:
            raise StateError(text)

    def _warn_pending(self, ledger: Ledger, run: Run) -> None:
        for row in ledger.pending():
            urn = row["resource"]["urn"]
            run.say(Severity.WARNING, f"an earlier run ended while {row['type']} this", urn)

    def _result(self, run: Run) -> Result:
        outputs: Values = {}
        if run.stack_outputs is not None:
            outputs = run.stack_outputs[1]
        return Result(
            verb=self._verb,
            stack=run.stack,
            ok=not run.failed and not run.cancelled,
            changes=tuple(run.changes),
            outputs=outputs,
            diagnostics=tuple(run.diagnostics),
            violations=tuple(run.violations),
            deferred_config=tuple(sorted(run.deferred)),
            duration_s=time.monotonic() - self._began,
        )


def _check_owner(checkpoint: Checkpoint, project: str, stack: str) -> None:
    """A state of another stack would be deleted as what this program no longer wants."""
    prefix = f"urn:pulumi:{stack}::{project}::"
    for row in checkpoint.rows:
        if not str(row.get("urn")).startswith(prefix):
            owner = "::".join(str(row.get("urn")).removeprefix("urn:pulumi:").split("::")[:2])
            raise UsageError(
                f"the state is of stack {owner}, not of {stack}::{project}; choose it with"
                " --stack, or another --state-dir"
            )


def _force_interrupted(run: Run, checkpoint: Checkpoint) -> None:
    """An update or delete with unknown outcome: bring the resource in order whatever Diff says."""
    interrupted = {
        row["resource"]["urn"]: row["type"]
        for row in checkpoint.pending
        if row["type"] in ("updating", "deleting")
    }
    for old in run.olds:
        kind = interrupted.get(old.resource.urn)
        if kind:
            old.resource.init_errors = [f"interrupted while {kind}"]


def _say_cancelled(run: Run, verb: str) -> None:
    if run.cancelled:
        run.fail(f"{verb} cancelled; what had begun was ended and saved")


@contextmanager
def _interruptible(run: Run, providers: Providers) -> Iterator[None]:
    """
    Ctrl-C and SIGTERM end the run in order.

    Nothing new starts, providers are told, what is in flight ends and is saved. A second signal
    does not wait for it: what is in flight stays in the state as pending.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def cancel(number: int, frame: FrameType | None) -> None:
        del number, frame
        if run.cancelled:
            run.abandoned = True
        else:
            run.cancelled = True
            threading.Thread(target=providers.cancel, daemon=True).start()

    former = {number: signal.signal(number, cancel) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
