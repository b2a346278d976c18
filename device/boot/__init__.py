"""The boot partition: a configuration that is laid beside `config.txt` is imported before the service starts."""
