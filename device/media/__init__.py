"""Pictures and sound between sources, encoders and messages: plain data without dependencies."""
