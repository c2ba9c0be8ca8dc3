"""For tests of strategies, our own and anybody's: ranks on this machine, and runs of a few steps that can be compared."""
