"""Stand-in for pulumi-command 1.2.1: local.Command and remote.Command over real SSH."""
