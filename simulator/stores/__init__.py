"""Where records and the journal are kept; opened by URL."""
