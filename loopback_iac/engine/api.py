"""plan, up, destroy: what the command line and tests call."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pulumi.runtime.proto import resource_pb2_grpc

from loopback_iac.engine.deletes import Deleter
from loopback_iac.engine.errors import EngineError, UsageError
from loopback_iac.engine.interrupts import (
    force_interrupted,
    interruptible,
    refuse_pending,
    say_cancelled,
    say_found,
    warn_pending,
)
from loopback_iac.engine.journal import Ledger
from loopback_iac.engine.monitor import Gate, Monitor, serve
from loopback_iac.engine.passphrase import Crypter, open_crypter
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
from loopback_iac.engine.state import Codec, list_resources
from loopback_iac.engine.steps import Registrar
from loopback_iac.engine.store import Checkpoint, Store
from loopback_iac.engine.undone import keep_known, render_undone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_iac.engine.values import Values

DEFAULT_STACK = "dev"
DEFAULT_PARALLEL = 16


@dataclass(frozen=True, slots=True)
class Options:
    """
    What to run and with what.

    `passphrase` None: taken from the environment. `state_dir` None: `.loopback` beside Pulumi.yaml.
    `continue_on_error`: of up; a step that fails stops only what rests on it.
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
    continue_on_error: bool = False


def plan(options: Options) -> Result:
    """
    Say what `up` would do; nothing is changed and nothing written.

    Raises: EngineError when project, config, state or policy pack cannot be used.
    """
    return Session(options, "plan").deploy()


def up(options: Options) -> Result:
    """
    Bring the stack to what the program wants.

    Raises: EngineError when nothing was begun, or the state cannot be written; another failure
    later on is in the result.
    """
    return Session(options, "up").deploy()


def destroy(options: Options) -> Result:
    """
    Delete everything the stack has. The program is not run.

    A delete that fails stops only those of what it rests on, `continue_on_error` or not.

    Raises: EngineError when nothing was begun.
    """
    return Session(options, "destroy").destroy()


def find_store(options: Options) -> Store:
    """Where the state of the stack lies."""
    return _find_store(options, parse_project(options.directory))


def _find_store(options: Options, project: Project) -> Store:
    if options.state_dir is not None:
        return Store(options.state_dir.resolve())
    return Store(project.root / ".loopback" / project.name / options.stack)


class Session:
    """One run, from reading the project to the saved checkpoint."""

    def __init__(self, options: Options, verb: str) -> None:
        self._options, self._verb = options, verb
        self._began = time.monotonic()
        self._dry_run = verb == "plan"
        self._project = parse_project(options.directory)
        self.store = _find_store(options, self._project)
        passphrase = options.passphrase
        self._passphrase = read_passphrase() if passphrase is None else passphrase

    def deploy(self) -> Result:
        with ExitStack() as stack:
            run, ledger, salt = self.open(stack)
            refuse_pending(ledger, run)
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
            with self._journaled(run, ledger, salt), interruptible(run, providers):
                self._run_program(run, Program(run, address, gate), registrar, providers)
            return self._ended(run)

    def destroy(self) -> Result:
        with ExitStack() as stack:
            run, ledger, salt = self.open(stack)
            warn_pending(ledger, run)
            providers = self.start_providers(run, stack)
            with self._journaled(run, ledger, salt), interruptible(run, providers):
                Deleter(run, providers).delete_leftovers()
                say_cancelled(run, self._verb)
            return self._ended(run)

    def start_providers(self, run: Run, stack: ExitStack) -> Providers:
        """The providers of a run without a program."""
        server, address = serve(run)
        server.start()
        stack.callback(lambda: server.stop(None).wait())
        providers = Providers(run, Policies(run), address)
        stack.callback(providers.close)
        return providers

    def _run_program(
        self, run: Run, program: Program, registrar: Registrar, providers: Providers
    ) -> None:
        try:
            arrived = program.wait()
            if run.stopping:
                run.wait_idle()
            if arrived and not run.stopping:
                self._finish_run(run, registrar, providers)
            if arrived and not run.failed and not run.cancelled and not program.finish():
                run.fail(program.explain())
            if not arrived and not run.over and not run.cancelled:
                run.fail(program.explain())
        finally:
            program.end()
            run.wait_idle()
        if program.output():
            run.say(Severity.INFO, f"the program printed:\n{program.output()}")
        say_cancelled(run, self._verb)

    def _finish_run(self, run: Run, registrar: Registrar, providers: Providers) -> None:
        """The program has said all: delete the rest, settle outputs, ask stack policies."""
        Deleter(run, providers).delete_leftovers()
        if run.stack_outputs is not None and not run.over:
            urn, outputs = run.stack_outputs
            if run.failed:
                former = run.news[urn].outputs
                outputs = {**former, **keep_known(outputs, former)}
                run.stack_outputs = (urn, outputs)
            registrar.performer.settle_outputs(run.news[urn], outputs)
        if not run.cancelled and not any(
            item.severity is Severity.ERROR for item in run.diagnostics
        ):
            try:
                registrar.policies.review_stack()
            except EngineError as error:
                run.fail(str(error))

    # --- opening and closing ----------------------------------------------------------------------

    def open(self, stack: ExitStack) -> tuple[Run, Ledger, str]:
        """
        Take the lock, read project, config and state.

        In: stack: gives the lock back.
        Out: the run, its ledger, and the salt of the state's secrets.
        """
        options = self._options
        note = other = ""
        if self._dry_run:
            checkpoint, other = self.store.look()
        else:
            note = stack.enter_context(self.store.locked(self._verb))
            checkpoint = self.store.load()
        _check_owner(checkpoint, self._project.name, options.stack)
        raw = load_stack_file(self._project, options.stack, options.config_file)
        config_salt = str(raw.get("encryptionsalt") or "")
        crypter = open_crypter(config_salt, self._passphrase)
        salt = checkpoint.salt or config_salt
        state_crypter = crypter if salt == config_salt else open_crypter(salt, self._passphrase)
        if not self._dry_run and state_crypter is None:
            if not self._passphrase:
                raise UsageError(
                    "passphrase must be set with PULUMI_CONFIG_PASSPHRASE or"
                    " PULUMI_CONFIG_PASSPHRASE_FILE; it encrypts the secrets of the state"
                )
            state_crypter = Crypter.create(self._passphrase)
            salt = state_crypter.salt
        config = parse_stack_config(raw, self._project, crypter)
        if config.missing and self._verb == "up":
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
            continues=options.continue_on_error and self._verb == "up",
            passphrase=self._passphrase,
            watcher=options.watcher,
            olds=olds,
        )
        say_found(run, checkpoint, note, other)
        if checkpoint.killed and not self._dry_run:
            self.store.save(checkpoint)
        force_interrupted(run, checkpoint)
        return run, Ledger(checkpoint.rows, checkpoint.pending), salt

    @contextmanager
    def _journaled(self, run: Run, ledger: Ledger, salt: str) -> Iterator[None]:
        """Give the run its journal; whatever happens, end with a checkpoint of what is known."""
        if run.dry_run:
            yield
            return
        journal = self.store.start_journal(ledger, salt)
        run.journal = journal
        try:
            yield
        finally:
            run.journal = None
            pending = ledger.pending()
            self.store.save(Checkpoint(ledger.rows(), pending, salt), journal)

    def _ended(self, run: Run) -> Result:
        """The result, noted beside the state; a run that failed otherwise heals nothing."""
        result = self._result(run)
        if not self._dry_run and (result.undone or result.ok):
            self.store.save_undone(render_undone(result))
        return result

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
            undone=tuple(run.undone.values()),
            deferred_config=tuple(sorted(run.deferred)),
            duration_s=time.monotonic() - self._began,
            resources=list_resources(run.news.values()),
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
