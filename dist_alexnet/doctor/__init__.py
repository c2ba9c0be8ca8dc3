"""What stands in the way of a run on this machine, or on a cluster, before there is one."""
