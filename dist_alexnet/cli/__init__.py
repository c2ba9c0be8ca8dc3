"""One small file per command: arguments in, a call, a table out."""
