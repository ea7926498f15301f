"""Settings: the TOML file and the environment, checked before anything starts."""
