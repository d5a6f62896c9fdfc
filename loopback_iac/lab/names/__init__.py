"""A hierarchy of real name servers and resolvers in namespaces of this machine, and its drills."""
