"""config.toml to frozen settings; credentials; where files live."""
