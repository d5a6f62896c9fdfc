"""Stand-in for Cloudflare's DNS, as terraform-provider-cloudflare 5.22 and its API behave."""
