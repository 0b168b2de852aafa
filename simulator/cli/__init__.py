"""The command line: reads files, calls rooms, chooses exit codes."""
