"""The program on every host: enroll, apply, confirm, watch, drain, report. Standard library only,
shipped as one file.
"""

from .packing import BOOT, agent_sha256, build, join_program, pack

__all__ = ["BOOT", "agent_sha256", "build", "join_program", "pack"]
