"""Door to the stand-in for pulumi-command."""
