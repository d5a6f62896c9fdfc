"""octoDNS over the same records as `bench zone`: built and validated, compared, read from YAML.

Run by the peer's own Python: argument 1 is a file of records (JSON), 2 a folder of YAML that we
wrote, with a zone of few records that is read and compared with the same records built here.
"""

import json
import sys
import time
from pathlib import Path

from octodns.provider.plan import Plan
from octodns.provider.yaml import YamlProvider
from octodns.record import Record
from octodns.zone import Zone

NAME = "example.net."


def build(records):
    zone = Zone(NAME, [])
    for name, types in records.items():
        for kind, values in types.items():
            data = {"type": kind, "ttl": 3600, "values": values}
            if len(values) == 1:
                data = {"type": kind, "ttl": 3600, "value": values[0]}
            zone.add_record(Record.new(zone, name, data, lenient=False))
    return zone


def peak_mib():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


class Target:
    """What a comparison asks of a provider: that it has everything."""

    def __getattr__(self, name):
        return lambda *_: True


def main(file, folder):
    given = json.loads(Path(file).read_text())
    before = peak_mib()
    begun = time.process_time()
    old = build(given["old"])
    built = time.process_time() - begun
    new = build(given["new"])
    begun = time.process_time()
    changes = old.changes(new, Target())
    Plan(old, new, changes, exists=True).raise_if_unsafe()
    compared = time.process_time() - begun
    peak = peak_mib()
    read = Zone(NAME, [])
    YamlProvider("yaml", folder, escaped_semicolons=True).populate(read)
    few = build(given["few"])
    print(
        json.dumps(
            {
                "parse and check: s": built,
                "difference and guard: s": compared,
                "MiB over the records themselves, both zones": peak - before,
                "changes": len(changes),
                "reads our YAML as the same zone": not read.changes(few, Target()),
            }
        )
    )


main(*sys.argv[1:])
