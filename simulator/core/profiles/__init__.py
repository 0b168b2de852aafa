"""What vendors' dialects look like, as data; nothing here is code, and nothing elsewhere names a vendor."""
