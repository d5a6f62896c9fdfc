"""One API server: reaching it, finding where a kind lives, and the few requests that are made."""

from __future__ import annotations

import json
import ssl
import tempfile
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import urllib3.exceptions
from kubernetes import client, config
from kubernetes.config import kube_config

from loopback_iac.lab.kubernetes.settings import find_namespace, read_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from loopback_iac.lab.kubernetes.settings import Settings

Object = dict[str, Any]
_TIMEOUT_S = (10.0, 60.0)  # to connect; for an answer
_POOL = 64  # as many as the plugin has threads
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"


class ClusterError(Exception):
    """A request that did not succeed."""


class UnreachableError(ClusterError):
    """No answer: nobody knows what became of the request."""


class NoMatchError(ClusterError):
    """The API server has no such kind."""

    def __init__(self, api_version: str, kind: str) -> None:
        # k8s.io/apimachinery pkg/api/meta/errors.go NoKindMatchError
        super().__init__(f'no matches for kind "{kind}" in version "{api_version}"')


class ApiError(ClusterError):
    """The API server's own refusal. `reason` as in metav1.StatusReason."""

    def __init__(self, code: int, text: str) -> None:
        try:
            body = json.loads(text)
        except ValueError:
            body = {}
        body = body if isinstance(body, dict) else {}
        super().__init__(body.get("message") or text.strip() or f"the server answered {code}")
        self.code = code
        self.reason: str = body.get("reason") or ""
        self.details: Object = body.get("details") or {}


@dataclass(frozen=True)
class Place:
    """Where objects of a kind are."""

    prefix: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        """The path of one object, or of all of a namespace."""
        within = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.prefix}{within}/{self.plural}" + (f"/{name}" if name else "")


@dataclass
class Cluster:
    """An API server that answers."""

    api: client.ApiClient
    namespace: str
    version: str = ""
    timeout_s: float = 0
    _places: dict[tuple[str, str], Place] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def request(
        self,
        method: str,
        path: str,
        body: Object | list[Object] | None = None,
        content: str = "application/json",
        **query: object,
    ) -> Object:
        """
        One request.

        In: query: names as the API has them; None is left out.
        Raises: ApiError, UnreachableError.
        """
        asked = [(key, value) for key, value in query.items() if value is not None]
        headers = {"Content-Type": content, "Accept": "application/json"}
        request = self.api.param_serialize(
            method, path, query_params=asked, header_params=headers, body=body,
            auth_settings=["BearerToken"],
        )  # fmt: skip
        timeout = (_TIMEOUT_S[0], self.timeout_s) if self.timeout_s else _TIMEOUT_S
        try:
            answer = self.api.call_api(*request, _request_timeout=timeout)
            text = answer.read().decode()
        except (urllib3.exceptions.HTTPError, OSError, client.ApiException) as error:
            url = f"{self.api.configuration.host}{path}"
            raise UnreachableError(f'{method.capitalize()} "{url}": {_explain(error)}') from error
        if not 200 <= answer.status <= 299:
            raise ApiError(answer.status, text)
        found: Object = json.loads(text)
        return found

    def find(self, api_version: str, kind: str) -> Place:
        """
        Where a kind lives; asked anew for what was not there before.

        Raises: NoMatchError, ClusterError.
        """
        with self._mutex:
            if (api_version, kind) in self._places:
                return self._places[api_version, kind]
        prefix = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            rows = self.request("GET", prefix).get("resources") or []
        except ApiError as error:
            if error.code != 404:
                raise
            rows = []
        with self._mutex:
            for row in rows:
                if "/" not in row["name"]:
                    place = Place(prefix, row["name"], row["namespaced"])
                    self._places[api_version, row["kind"]] = place
            if (api_version, kind) not in self._places:
                raise NoMatchError(api_version, kind)
            return self._places[api_version, kind]

    def path_of(self, thing: Object, *, named: bool = True) -> str:
        """The path of an object, or of where it would be made."""
        place = self.find(thing["apiVersion"], thing["kind"])
        at = thing.get("metadata") or {}
        return place.path(
            at.get("namespace") or self.namespace, at.get("name", "") if named else ""
        )

    def get(self, thing: Object) -> Object:
        """The object as it is now."""
        return self.request("GET", self.path_of(thing))

    def list_objects(self, api_version: str, kind: str, namespace: str) -> list[Object]:
        """All objects of a kind in a namespace."""
        path = self.find(api_version, kind).path(namespace)
        return list(self.request("GET", path).get("items") or [])

    def list_versions(self) -> list[str]:
        """All there is, as helm's `--api-versions` takes it: `apps/v1` and `apps/v1/Deployment`."""
        groups = self.request("GET", "/apis").get("groups") or []
        versions = ["v1", *(each["groupVersion"] for row in groups for each in row["versions"])]
        found = []
        for version in versions:
            prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
            rows = self.request("GET", prefix).get("resources") or []
            kinds = {row["kind"] for row in rows if "/" not in row["name"]}
            found += [version, *(f"{version}/{kind}" for kind in sorted(kinds))]
        return found


def open_cluster(settings: Settings) -> Cluster:
    """
    Find the API server that settings name, and ask its version.

    Raises: UnreachableError with the provider's words.
    Sources: pulumi-kubernetes provider/pkg/provider/provider.go Configure.
    """
    try:
        document, folder = read_kubeconfig(settings.kubeconfig)
    except (ValueError, OSError) as error:
        if settings.kubeconfig:
            place = "`kubernetes:config:kubeconfig`"
            raise UnreachableError(
                f"failed to parse kubeconfig data in {place}- {error}"
            ) from error
        raise UnreachableError(_explain_unloadable(error)) from error
    try:
        api = _load(document, folder, settings)
    except (config.ConfigException, OSError, KeyError, TypeError, ssl.SSLError) as error:
        raise UnreachableError(_explain_unloadable(error)) from error
    cluster = Cluster(api, find_namespace(settings), timeout_s=settings.timeout_s)
    try:
        cluster.version = str(cluster.request("GET", "/version")["gitVersion"])
    except (ClusterError, KeyError, ValueError) as error:
        text = f"unable to load schema information from the API server: {error}"
        raise UnreachableError(text) from error
    return cluster


def _load(document: Object, folder: Path, settings: Settings) -> client.ApiClient:
    """Keys of the kubeconfig are on disk only for the moment in which OpenSSL reads them."""
    context = settings.context or document.get("current-context")
    if settings.cluster:
        rows = [row for row in document.get("contexts") or [] if row.get("name") == context]
        for row in rows:
            row["context"]["cluster"] = settings.cluster
    loaded = client.Configuration()
    with tempfile.TemporaryDirectory() as scratch:
        loader = kube_config.KubeConfigLoader(
            document, active_context=context, config_base_path=str(folder), temp_file_path=scratch
        )
        loader.load_and_set(loaded)
        loaded.retries = False
        loaded.connection_pool_maxsize = _POOL
        api = client.ApiClient(loaded)
        if loaded.host.startswith("https"):
            _keep_in_memory(api, _make_context(loaded))
        kube_config._cleanup_temp_files()  # noqa: SLF001  # or it hands out the files that go here
    return api


def _make_context(loaded: client.Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=loaded.ssl_ca_cert, cadata=loaded.ca_cert_data)
    if not loaded.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if loaded.cert_file:
        context.load_cert_chain(loaded.cert_file, loaded.key_file)
    return context


def _keep_in_memory(api: client.ApiClient, context: ssl.SSLContext) -> None:
    pool = api.rest_client.pool_manager.connection_pool_kw
    for key in ("cert_reqs", "ca_certs", "ca_cert_data", "cert_file", "key_file"):
        pool.pop(key, None)
    pool["ssl_context"] = context


def _explain(error: Exception) -> str:
    """The last cause is the one that says something."""
    reason: Any = error
    while (deeper := getattr(reason, "reason", None) or reason.__cause__) is not None:
        if not isinstance(deeper, Exception):
            break
        reason = deeper
    if isinstance(reason, ConnectionRefusedError):
        return "connect: connection refused"
    return str(reason).rpartition(": ")[2] if "object at 0x" in str(reason) else str(reason)


def _explain_unloadable(error: Exception) -> str:
    link = "https://www.pulumi.com/registry/packages/kubernetes/installation-configuration/"
    return (
        "unable to load Kubernetes client configuration from kubeconfig file. Make sure you have:"
        f" \n\n \t • set up the provider as per {link} \n\n {error}"
    )


def get_in(thing: object, path: Iterable[str], default: Any = None) -> Any:  # noqa: ANN401
    """What stands at a path of keys."""
    for key in path:
        if not isinstance(thing, dict) or thing.get(key) is None:
            return default
        thing = thing[key]
    return thing
