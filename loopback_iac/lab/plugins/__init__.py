"""Folders that `plugins:` of a Pulumi.yaml names: thin doors to the stand-ins."""
