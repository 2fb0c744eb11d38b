"""uv or pip as a command: finds wheels for requirements, and installs exactly those."""
