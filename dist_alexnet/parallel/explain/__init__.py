"""What a strategy comes to before a process is started: layout, memory, what to reserve."""
