"""Hetzner Cloud's API, as much of it as moves a floating IP.

Sources: docs.hetzner.cloud, Floating IPs ("Get a Floating IP") and Floating IP Actions ("Assign a
Floating IP to a Server", "Get an Action"), Errors, Rate Limiting.
"""

from __future__ import annotations

from typing import Any

from .api import Api, ApiError, MoveFailedError


class FloatingIps(Api):
    """Floating IPs of the project that a token belongs to, by number; holders are servers."""

    def read_holder(self, ident: str) -> str:
        """Out: the server that has the address; empty when none has it.

        Raises: ApiError.
        """
        body = self.ask("GET", f"/floating_ips/{ident}").body
        try:
            return str(int(body["floating_ip"]["server"] or 0) or "")
        except (KeyError, TypeError, ValueError) as strange:
            raise ApiError(f"GET of floating IP {ident}: not the shape of its API") from strange

    def assign(self, ident: str, server: str) -> str:
        """Ask for the address to be given to a server.

        Out: the action's id.
        Raises: ApiError, MoveFailedError.
        """
        path = f"/floating_ips/{ident}/actions/assign"
        action = self._action(self.ask("POST", path, {"server": int(server)}).body, path)
        return str(action["id"])

    def is_done(self, action: str) -> bool:
        """Whether an action has come to its end.

        Raises: ApiError; MoveFailedError with its own words when it failed.
        """
        path = f"/actions/{action}"
        return bool(self._action(self.ask("GET", path).body, path)["status"] == "success")

    @staticmethod
    def _action(body: dict[str, Any], what: str) -> dict[str, Any]:
        try:
            action: dict[str, Any] = body["action"]
            if action["status"] == "error":
                told = action.get("error") or {}
                raise MoveFailedError(f"{what}: {told.get('message')} ({told.get('code')})")
            return {"id": int(action["id"]), "status": action["status"]}
        except (KeyError, TypeError, ValueError) as strange:
            raise ApiError(f"{what}: not the shape of its API") from strange
