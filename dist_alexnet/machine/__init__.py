"""What a process finds on its machine and may use of it: cores, memory, limits, signals, compiled code."""
