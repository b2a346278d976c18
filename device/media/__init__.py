"""Pictures and sound as they pass from sources through encoders: plain data, which knows nobody."""
