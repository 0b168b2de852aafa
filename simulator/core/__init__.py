"""The centre: what the service does, decided without a socket, a clock or a die."""
