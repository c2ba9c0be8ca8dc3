"""`dist-alexnet data ...`: one file a command that is long."""
