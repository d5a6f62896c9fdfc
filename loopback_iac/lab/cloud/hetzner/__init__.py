"""Stand-in for Hetzner Cloud, as terraform-provider-hcloud 1.67 and its API behave."""
