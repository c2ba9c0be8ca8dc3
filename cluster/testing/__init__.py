"""Several nodes on one machine, for tests and benchmarks: a network of namespaces, and Ray in it."""
