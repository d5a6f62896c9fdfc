"""octodns-report on a port of its own: argument 1; the rest is its own command line."""

import sys

import dns.resolver
from octodns.cmds.report import main

port = int(sys.argv.pop(1))
reset = dns.resolver.BaseResolver.reset


def reset_to_port(self):
    reset(self)
    self.port = port


dns.resolver.BaseResolver.reset = reset_to_port
main()
